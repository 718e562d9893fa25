"""Imports between packages, and between the rooms inside them, go one way only; there are no circular imports.

Every import counts, including those under TYPE_CHECKING and inside functions.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT
from installing import PACKAGES

PACKAGE = "arrayloom"
OF_NO_FOLDER = {Path("hdl", "proofs")}      # tests grouped by topic, not by package

ARROWS = {
    "isa": set(),
    "hdl": {"isa"},
    "compiler": {"isa"},
    "sim": {"isa", "hdl"},
    "host": {"isa", "hdl", "compiler", "sim"},
}
ROOMS = {
    "hdl": {
        "array": {"."},
        "post": {"."},
        "depthwise": {".", "array"},
        "attention": {".", "array"},
        "top": {".", "array", "post", "depthwise", "attention"},
        ".": set(),
    },
    "compiler": {
        ".": set(),
        "frontend": {"."},
        "backend": {".", "cost"},
        "cost": {"."},
        "passes": {".", "backend"},
        "": {".", "frontend", "backend", "passes"},
    },
    "host": {
        "pool": set(),
        "runtime": {"vision", "pool"},
        "vision": set(),
        "models": {"runtime", "vision", "pool"},
        "serving": {"runtime", "vision", "models"},
        "analysis": {"runtime", "pool"},
        "segments": {"runtime", "pool"},
        "board": {"runtime", "analysis"},
        "workspace": {"runtime", "vision", "models", "serving"},
        "cli": {"runtime", "vision", "models", "serving", "workspace", "analysis", "pool", "segments", "board"},
    },
}
"""What each part of a package may import of the package's other parts: subpackages by name, ``.`` for the modules that
lie directly in the package, ``""`` for its ``__init__``; a module named here is a part of its own."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)])


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """The project's modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not used here"
            if (node.module or "").split(".")[0] == PACKAGE:
                inner = (f"{node.module}.{alias.name}" for alias in node.names)
                yield from (name if name in FILES else str(node.module) for name in inner)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in FILES:
            yield node.value        # modules imported by name when needed


GRAPH = {name: set(imports(path)) - {name} for name, path in FILES.items()}


def part(package: str, name: str) -> str:
    """The part of ``package`` that a module of it belongs to."""
    rest = name.split(".")[2:]
    if not rest:
        return ""
    return rest[0] if rest[0] in ROOMS[package] else "."


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_follow_the_arrows(package: str) -> None:
    for name, wanted in GRAPH.items():
        if name.split(".")[1] == package:
            used = {other.split(".")[1] for other in wanted if other != PACKAGE}
            assert used <= ARROWS[package] | {package}, f"{name}: {used}"
    assert any(name.split(".")[1] == package for name in GRAPH)


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_follow_the_arrows(package: str) -> None:
    inside = [name for name in GRAPH if name.split(".")[1] == package]
    assert {part(package, name) for name in inside} == set(ROOMS[package]) | {""}
    for name in inside:
        own = part(package, name)
        for other in GRAPH[name]:
            if other.split(".")[1:2] == [package]:
                wanted = part(package, other)
                allowed = ROOMS[package].get(own, set()) | {own}
                empty = not wanted and not GRAPH[other]     # the package itself, if it holds no code
                assert wanted in allowed or empty, f"{name} imports {other}: {own!r} may import {sorted(allowed)}"


def test_no_modules_need_one_another() -> None:
    assert not circles(GRAPH)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}
    assert circles(graph) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_mirror_the_packages(package: str) -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests" / package).rglob("test_*.py")}
    assert folders
    assert not [folder for folder in folders - OF_NO_FOLDER if not (ROOT / folder).is_dir()]


def test_the_package_itself_holds_no_code_but_names() -> None:
    files = {path.name for path in (ROOT / PACKAGE).iterdir() if path.name != "__pycache__"}
    assert files == {"__init__.py", "__main__.py", "py.typed"}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan's algorithm), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = [stack.pop()]
            while component[-1] != name:
                component.append(stack.pop())
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in index:
            visit(name)
    return found
