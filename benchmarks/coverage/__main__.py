"""What tests execute of the hardware of ``tiny``: lines, branches, toggles of control signals, and goals of programs.

Runs the tests that stand for the suite on a build that counts. Exit code 1 where a test fails, where a unit has less than
95 % of lines or branches or 90 % of toggles hit or explained (holes.txt), and where an explanation explains nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import PRESETS
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.coverage.functional import goals
from benchmarks.coverage.plugin import COUNTS, GOALS
from benchmarks.coverage.points import read_holes, read_points
from benchmarks.coverage.report import Report, lines, make_report
from benchmarks.output import deliver

ROOT = Path(__file__).parents[2]
HOLES = Path(__file__).with_name("holes.txt")
CONFIG = PRESETS["tiny"]
TESTS = ("tests/sim/cocotb/test_in_process.py", "tests/sim/cocotb/test_random_faults.py",
         "tests/sim/cocotb/test_bus_breaches.py", "tests/host/runtime/test_random_words.py",
         "tests/host/runtime/test_width_extremes.py", "tests/host/runtime/test_field_extremes.py",
         "tests/host/runtime/test_config_extremes.py", "tests/end_to_end/test_random_graphs.py")
CHOSEN = "not a_program_runs and not emulator"     # those build simulators of other configurations, or none
START = "import sys; sys.path.append(sys.argv[1]); import pytest; sys.exit(pytest.main(sys.argv[2:]))"


def main() -> int:
    parser = parser_of("benchmarks.coverage", __doc__)
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="FILE",
                        help="tests to run (default: those of the figures)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the counts there; counts that are there are reported "
                        "without a run")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    begin = time.perf_counter()
    with TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        failed = 0 if (folder / GOALS).exists() else _run(options.tests, folder)
        report = _report(folder)
    seconds = round(time.perf_counter() - begin, 1)
    if deliver(options, report.figures() | {"seconds": seconds}):
        print("\n".join(lines(report)))
    faults = [*(["a test has failed"] if failed else []), *report.faults()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return OUTSIDE if faults else SUCCESS


def _run(tests: tuple[str, ...], folder: Path) -> int:
    """The exit code of pytest; what it prints goes to standard error."""
    command = [sys.executable, "-P", "-c", START, str(ROOT), "-p", "benchmarks.coverage.plugin", "--coverage-to",
               str(folder.resolve()), "-p", "no:cacheprovider", "-k", CHOSEN, *tests]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, env=os.environ, check=False).returncode


def _report(folder: Path) -> Report:
    try:
        reached = json.loads((folder / GOALS).read_text())
        points = read_points(folder / COUNTS)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: the tests have left no counts; what pytest says is above") from None
    return make_report(points, read_holes(HOLES.read_text()), reached, goals(CONFIG))


if __name__ == "__main__":
    sys.exit(main())
