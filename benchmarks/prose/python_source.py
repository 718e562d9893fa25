"""Passages of Python files: comments, docstrings and messages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from benchmarks.prose.passage import Kind, Passage

_DIRECTIVE = re.compile(r"#\s*(noqa|type:|pragma|ruff:|!)")
_OWNERS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_WORDS_IN_A_ROW = re.compile(r"[A-Za-z']+,? [a-z']+,? [a-z']+")


def python_passages(path: Path, source: str) -> Iterator[Passage]:
    """Passages of one file, by kind.

    Parameters
    ----------
    path
        Recorded in each passage; the file itself is not read.
    source
        Text of the file.

    Raises
    ------
    SyntaxError
        ``source`` is not Python.
    """
    tree = ast.parse(source)
    documentation = list(_documentation(tree))
    yield from _comments(path, source)
    for node, text in documentation:
        yield Passage(path, node.lineno, Kind.DOCSTRING, text)
    yield from _messages(path, tree, {id(node) for node, _ in documentation})


def _comments(path: Path, source: str) -> Iterator[Passage]:
    """Comments; those on adjacent lines of their own are one passage."""
    block: list[tuple[int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or _DIRECTIVE.match(token.string):
            continue
        line, column = token.start
        alone = not token.line[:column].strip()
        if block and not (alone and (line - 1, column) == block[-1][:2]):
            yield _joined(path, block)
            block = []
        block.append((line, column if alone else -1, token.string.lstrip("# ").rstrip()))
    if block:
        yield _joined(path, block)


def _joined(path: Path, block: list[tuple[int, int, str]]) -> Passage:
    return Passage(path, block[0][0], Kind.COMMENT, " ".join(text for _, _, text in block))


def _documentation(tree: ast.Module) -> Iterator[tuple[ast.Constant, str]]:
    """Strings that stand alone as a statement: docstrings, and those below an attribute."""
    for owner in ast.walk(tree):
        for statement in owner.body if isinstance(owner, _OWNERS) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text)) as node):
                    yield node, text.strip()


def _messages(path: Path, tree: ast.Module, documentation: set[int]) -> Iterator[Passage]:
    """Literals with three words in a row, which keys, names and formats do not have."""
    apart = documentation | {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                             for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in apart:
            text = _text(node)
            if _WORDS_IN_A_ROW.search(text):
                yield Passage(path, node.lineno, Kind.MESSAGE, text.strip())


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    """The string of a literal, with an f-string's values as the expressions in braces."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
                       for part in node.values if isinstance(part, ast.Constant | ast.FormattedValue))
    return node.value if isinstance(node.value, str) else ""
