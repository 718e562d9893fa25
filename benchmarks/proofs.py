"""Proofs about the hardware: the claim of each, the method, the time, and the planted faults that it finds.

    python -m benchmarks.proofs --quick         those in the default test suite
    python -m benchmarks.proofs --json          all, minutes
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from arrayloom.host.runtime.errors import InputError
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver

ROOT = Path(__file__).parents[1]
FOLDER = Path("tests", "hdl", "proofs")
COLUMNS = {"name": "proof", "unit": "unit", "claim": "says", "method": "method", "solver": "solver", "depth": "depth",
           "seconds": "s", "result": "result"}


def main() -> int:
    parser = parser_of("benchmarks.proofs", __doc__)
    parser.add_argument("--quick", action="store_true", help="skip those marked slow")
    parser.add_argument("--only", default="", metavar="WORD", help="only proofs with this word in their names")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes (default: one per processor)")
    return run(parser, _show)


def _show(options: argparse.Namespace) -> int:
    proofs = _measured(options)
    sound = all(proof["result"] != "failed" and proof["caught"] == proof["planted"] for proof in proofs)
    if deliver(options, {"proofs": proofs}):
        Console(width=None if sys.stdout.isatty() else 160).print(_table(proofs))
        print("all hold, and all planted faults are found" if sound else "SOME FAIL, OR PLANTED FAULTS ARE NOT FOUND")
    return SUCCESS if sound else OUTSIDE


def _measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Runs the tests of the proofs, which record their results."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", str(options.workers), "-k", options.only,
             "-m", "not slow" if options.quick else "slow or not slow", f"--junitxml={report}", str(FOLDER)],
            cwd=ROOT, stdout=sys.stderr, check=False)
        if not report.exists():
            raise InputError(f"{FOLDER}: its tests did not run (pytest ended with {done.returncode}); "
                             "they need a checkout and the extra test")
        proofs = _proofs(ElementTree.parse(report).iter("property"))
    if not proofs:
        raise InputError(f"--only {options.only}: no proof has this word in its name")
    return proofs


def _proofs(properties: Any) -> list[dict[str, Any]]:
    proofs: dict[str, dict[str, Any]] = {}
    found: dict[str, list[bool]] = {}
    for each in properties:
        value = json.loads(each.attrib["value"])
        if each.attrib["name"] == "proof":
            proofs[value["name"]] = value
        elif each.attrib["name"] == "fault":
            found.setdefault(value["name"], []).append(value["caught"])
    for name, proof in proofs.items():
        outcomes = found.get(name, [])
        proof["planted"], proof["caught"] = len(outcomes), sum(outcomes)
    return list(proofs.values())


def _table(proofs: list[dict[str, Any]]) -> Table:
    table = Table()
    for title in (*COLUMNS.values(), "faults found"):
        table.add_column(title)
    for proof in proofs:
        table.add_row(*(str(proof[name]) for name in COLUMNS), f"{proof['caught']} of {proof['planted']}")
    return table


if __name__ == "__main__":
    sys.exit(main())
