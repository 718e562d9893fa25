"""Imports between packages go one way only."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {"isa": set(), "hdl": {"isa"}, "compiler": {"isa"}, "sim": {"isa", "hdl"},
           "host": {"isa", "hdl", "compiler", "sim"}}


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_follow_the_arrows(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            used = {name.split(".")[0] for name in names} & (set(ALLOWED) | {"tests"})
            assert used <= ALLOWED[package] | {package}, f"{path}: {used}"
