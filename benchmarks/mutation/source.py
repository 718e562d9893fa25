"""Handwritten faults in the source: each is applied to a copy of the checkout, in which its tests must fail.

``sources.json`` names the file, the exact text, what replaces it, and the tests. A text that the file does not contain
exactly once is an error, so the table stays up to date with the source.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.host.pool.local import LocalWorkers
from arrayloom.host.pool.task import Task, run_tasks
from arrayloom.isa.errors import ArrayloomError
from arrayloom.sim.rtl.process import Stopwatch
from benchmarks.command import OUTSIDE, SUCCESS
from benchmarks.output import deliver

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("sources.json")
FOLDERS = ("arrayloom", "isa", "hdl", "sim", "compiler", "host", "tests", "typings", "benchmarks", "docs")
PASSED, FAILED = 0, 1      # exit codes of pytest; any other is inconclusive
LIMIT_SECONDS = 900      # of one fault
TEXT = 2000             # characters of pytest's output


class SourceFaultError(ArrayloomError):
    """A fault cannot be applied, or its tests do not run."""


@dataclass(frozen=True)
class SourceFault:
    """Replaces ``old`` in ``file`` by ``new``; one of ``tests`` (pytest's notation) must then fail."""

    name: str
    file: str
    old: str
    new: str
    tests: Sequence[str]

    def write(self, checkout: Path) -> None:
        """Changes a checkout. Raises ``SourceFaultError`` unless it contains the text exactly once."""
        path = checkout / self.file
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if (count := text.count(self.old)) != 1:
            raise SourceFaultError(f"{self.name}: {self.file} holds {self.old!r} {count} times instead of once: correct the "
                                   f"entry in {TABLE.name}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def table() -> list[SourceFault]:
    """All handwritten faults."""
    return [SourceFault(**one) for one in json.loads(TABLE.read_text(encoding="utf-8"))]


def action(options: argparse.Namespace) -> int:
    """Runs ``--source``; returns the exit code."""
    begin, report = time.monotonic(), Stopwatch()
    faults = [one for one in table() if options.only is None or options.only in one.name]
    if not faults:
        raise SourceFaultError(f"--only {options.only}: no fault of {TABLE.name} has that in its name")
    for fault in faults:
        if (ROOT / fault.file).read_text(encoding="utf-8").count(fault.old) != 1:
            with TemporaryDirectory() as folder:
                fault.write(_copy(Path(folder)))
    tests = sorted({test for fault in faults for test in fault.tests})
    report(f"{len(faults)} faults; first {' '.join(tests)} without any")
    code, text = _run(None, tests)
    if code != PASSED:
        raise SourceFaultError(f"without any fault the tests end with code {code}, mend them first:\n{text}")
    survived = []
    for fault, code in _verdicts(faults, options.workers):
        report(f"{'caught' if code == FAILED else 'SURVIVED'}: {fault.name}")
        survived += [fault] if code == PASSED else []
    figures = _figures(faults, survived, time.monotonic() - begin)
    if deliver(options, figures):
        print(f"{figures['caught']} of {figures['mutants']} faults are noticed by their tests")
    return OUTSIDE if survived else SUCCESS


def _figures(faults: Sequence[SourceFault], survived: Sequence[SourceFault], seconds: float) -> dict[str, Any]:
    listed = [{"name": one.name, "file": one.file, "what": f"{one.old} -> {one.new}", "tests": one.tests}
              for one in survived]
    return {"mutants": len(faults), "caught": len(faults) - len(survived), "survived": len(survived), "survivors": listed,
            "seconds": round(seconds, 1)}


def _verdicts(faults: Sequence[SourceFault], workers: int) -> Iterator[tuple[SourceFault, int]]:
    tasks = [Task(fault.name, _judge, (fault,)) for fault in faults]
    for done in run_tasks(tasks, LocalWorkers(workers)):
        if done.value not in (PASSED, FAILED):
            raise SourceFaultError(f"{faults[done.index].name}: pytest {' '.join(faults[done.index].tests)} ends with code "
                                   f"{done.value}, which is inconclusive: correct the entry in {TABLE.name}")
        yield faults[done.index], done.value


def _judge(fault: SourceFault, _progress: object) -> int:
    return _run(fault, fault.tests)[0]


def _run(fault: SourceFault | None, tests: Sequence[str]) -> tuple[int, str]:
    """The exit code of pytest in a copy of the checkout with that fault, and the end of its output.

    Tests that time out have failed.
    """
    with TemporaryDirectory() as folder:
        checkout = _copy(Path(folder))
        if fault is not None:
            fault.write(checkout)
        command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        environment = {**os.environ, "PYTHONPATH": str(checkout / "typings"), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True,
                                  timeout=None if fault is None else LIMIT_SECONDS, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return FAILED, f"no end after {LIMIT_SECONDS} s"
        return done.returncode, done.stdout[-TEXT:]


def _copy(folder: Path) -> Path:
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder
