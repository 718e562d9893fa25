"""Errors of the compiler: each names the thing, the reason and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass

from arrayloom.isa.errors import ArrayloomError


class CompileError(ArrayloomError):
    """A model cannot be compiled to a program."""


class ModelError(CompileError):
    """The model itself is unusable: a damaged file, a shape that is not fixed, an illegal type or value."""


class SessionError(CompileError):
    """ONNX Runtime, which provides shapes, tables and the reference, cannot load or run a model."""


class GraphError(CompileError):
    """An integer graph violates a rule of its representation: a bug in the pass that created it."""


@dataclass(frozen=True)
class Unsupported:
    """One node that cannot be compiled.

    Attributes
    ----------
    node
        The node's name (or its first output where it has none).
    operator
        Its operator, with the domain where it is not ONNX's own.
    what
        The attribute or value at fault, as `name = value`; empty where the operator itself is.
    reason
        Why it cannot be compiled.
    remedy
        What the user can do instead.
    """

    node: str
    operator: str
    what: str
    reason: str
    remedy: str

    def to_json(self) -> dict[str, str]:
        """Returns node, op, reason and remedy; the reason begins with `what`."""
        reason = f"{self.what}: {self.reason}" if self.what else self.reason
        return {"node": self.node, "op": self.operator, "reason": reason, "remedy": self.remedy}

    def __str__(self) -> str:
        what = f" [{self.what}]" if self.what else ""
        return f"{self.operator} '{self.node}'{what}: {self.reason}; {self.remedy}"


_LISTED = 20  # nodes in a message before "and N more"


class UnsupportedError(CompileError):
    """Every node of a model that cannot be compiled, in one report.

    Parameters
    ----------
    nodes
        One entry for each; the message lists the first of them.
    cause
        A sentence about the model as a whole, where one thing is wrong with all of it.

    Attributes
    ----------
    nodes
        All entries.
    cause
        As given.
    """

    def __init__(self, nodes: Sequence[Unsupported], cause: str = "") -> None:
        self.nodes = tuple(nodes)
        self.cause = cause
        count = f"{len(self.nodes)} node{'s' if len(self.nodes) > 1 else ''}"
        lines = [*([cause] if cause else []), f"{count} of the model cannot be compiled:"]
        lines += [f"  {node}" for node in self.nodes[:_LISTED]]
        if len(self.nodes) > _LISTED:
            lines.append(f"  and {len(self.nodes) - _LISTED} more, which --json lists")
        super().__init__("\n".join(lines))
