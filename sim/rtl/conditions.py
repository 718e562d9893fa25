"""Conditions of ``arrayloom.hdl.control_rules``: names, ``~``, ``&``, ``|``, ``==`` with a number, an index for a bit."""

import ast
from collections.abc import Mapping
from typing import Protocol, TypeVar

from arrayloom.sim.rtl.errors import BuildError

Result = TypeVar("Result")


class Connectives(Protocol[Result]):
    """The interpretation of a condition's parts; a name by itself is true if any of its bits is set."""

    def name(self, name: str) -> Result: ...
    def bit(self, name: str, index: int) -> Result: ...
    def equality(self, name: str, value: int) -> Result: ...
    def negation(self, operand: Result) -> Result: ...
    def conjunction(self, left: Result, right: Result) -> Result: ...
    def disjunction(self, left: Result, right: Result) -> Result: ...


def names_in(condition: str) -> list[str]:
    """The names, each once."""
    return list(dict.fromkeys(node.id for node in ast.walk(ast.parse(condition)) if isinstance(node, ast.Name)))


def renamed(condition: str, names: Mapping[str, str]) -> str:
    """The condition with other names."""
    tree = ast.parse(condition, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names[node.id]
    return ast.unparse(tree)


def interpret(condition: str, parts: Connectives[Result]) -> Result:
    """Evaluates the condition with ``parts``. Raises ``BuildError`` for an invalid condition."""
    def value(node: ast.expr) -> Result:
        match node:
            case ast.Name(id=name):
                return parts.name(name)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int(index))):
                return parts.bit(name, index)
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq()], comparators=[ast.Constant(value=int(number))]):
                return parts.equality(name, number)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return parts.negation(value(operand))
            case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
                return parts.conjunction(value(left), value(right))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return parts.disjunction(value(left), value(right))
        raise BuildError(f"condition {condition!r} in hdl/control_rules.py: known are names, ~, &, |, == and an index")

    return value(ast.parse(condition, mode="eval").body)
