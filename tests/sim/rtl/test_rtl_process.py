"""Started processes do not import from the current folder, which is the user's."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from installing import PACKAGES, ROOT

from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.process import PYTHON, run_tool

STARTS_PYTHON = {"sys.executable", "multiprocessing", "ProcessPoolExecutor", "amaranth.back.verilog", "runpy"}
"""Code that starts Python or names it: `amaranth.back.verilog` runs Yosys with `python -m`."""
ALLOWED = {"sim/rtl/process.py": {"sys.executable"}, "host/workspace/image_run.py": {"sys.executable"}}
"""The one place that defines how, and the one that replaces an image's `python3 -P` by this interpreter."""


@pytest.fixture
def decoys(tmp_path: Path) -> Path:
    """A folder whose modules raise."""
    for name in ("json", "numpy", "pyosys", "host", "sim", "isa", "arrayloom"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder was imported')")
    return tmp_path


@pytest.mark.parametrize("arguments", [
    ("-c", "import json, numpy, arrayloom.sim"), ("-c", "from pyosys import libyosys"),
    ("-m", "arrayloom", "--help")])
def test_a_child_does_not_import_from_the_current_folder(decoys: Path, arguments: tuple[str, ...]) -> None:
    run_tool([*PYTHON, *arguments], "the child", decoys)


def test_the_decoys_would_be_imported(decoys: Path) -> None:
    with pytest.raises(BuildError, match="json of the current folder was imported"):
        run_tool([PYTHON[0], "-c", "import json"], "the child", decoys)


def test_python_is_started_in_one_way_alone() -> None:
    found = {}
    for package in ("arrayloom", *PACKAGES):
        for path in (ROOT / package).rglob("*.py"):
            if used := set(_names(ast.parse(path.read_text(encoding="utf-8")))) & STARTS_PYTHON:
                found[str(path.relative_to(ROOT))] = used
    assert found == ALLOWED


def test_a_tool_has_all_the_stack_there_is(tmp_path: Path) -> None:
    run_tool(["/bin/sh", "-c", 'test "$(ulimit -S -s)" = "$(ulimit -H -s)"'], "the tool", tmp_path)


def test_a_tool_is_started_without_handlers_of_forks(tmp_path: Path) -> None:
    """Python ignores exceptions in fork handlers: an interrupt at that moment would be lost."""
    code = ("import os; from pathlib import Path; from arrayloom.sim.rtl.process import run_tool\n"
            "os.register_at_fork(before=lambda: print('before a fork'), after_in_parent=lambda: print('after it'))\n"
            "run_tool(['true'], 'the tool', Path.cwd()); print('done')")
    done = subprocess.run([*PYTHON, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)
        elif isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in (alias.name, alias.name.split(".")[0]))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (part for alias in node.names for part in (alias.name, f"{node.module}.{alias.name}"))
