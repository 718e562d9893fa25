"""Test coverage of the hardware of ``tiny``: lines, branches, toggles of control signals, and functional goals.

Runs the tests that represent the suite on an instrumented build. Exit code 1 if a test fails, if a unit has less than
95 % of lines or branches or 90 % of toggles hit or explained (holes.txt), or if an explanation matches nothing.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import PRESETS
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.coverage.functional import goals
from benchmarks.coverage.plugin import COUNTS, GOALS
from benchmarks.coverage.points import merge, read_holes, read_points
from benchmarks.coverage.report import Report, lines, make_report
from benchmarks.output import deliver

ROOT = Path(__file__).parents[2]
HOLES = Path(__file__).with_name("holes.txt")
CONFIG = PRESETS["tiny"]
HARDWARE, HOST = "tests/sim/cocotb", "tests/host/runtime"
SESSIONS = {
    "programs": ("-k", "in_process or made or around_the_limits or at_its_ends or token_is_taken",
                 f"{HARDWARE}/test_in_process.py", f"{HOST}/test_token_pairs.py",
                 f"{HOST}/test_config_extremes.py", f"{HOST}/test_random_words.py", f"{HOST}/test_field_extremes.py"),
    "disturbed": ("-k", "as_they_must or breaks_the_rules", f"{HARDWARE}/test_random_faults.py",
                  f"{HARDWARE}/test_bus_breaches.py"),
}
"""Arguments of pytest, by name: tests whose counts are added up."""
START = "import sys; sys.path.append(sys.argv[1]); import pytest; sys.exit(pytest.main(sys.argv[2:]))"


def main() -> int:
    parser = parser_of("benchmarks.coverage", __doc__)
    parser.add_argument("--session", action="append", choices=SESSIONS, help="may be given several times (default: all)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the counts there, in a folder per session; a "
                        "session with existing counts is not run again")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    begin = time.perf_counter()
    with TemporaryDirectory() as temporary:
        folder: Path = options.keep or Path(temporary)
        names = options.session or list(SESSIONS)
        failed = [name for name in names if not (folder / name / GOALS).exists() and _run(name, folder / name)]
        report = _report([folder / name for name in names])
    seconds = round(time.perf_counter() - begin, 1)
    if deliver(options, report.figures() | {"seconds": seconds}):
        print("\n".join(lines(report)))
    faults = [*(f"session {name}: a test has failed" for name in failed), *report.faults()]
    for fault in faults:
        print(fault, file=sys.stderr)
    return OUTSIDE if faults else SUCCESS


def _run(name: str, folder: Path) -> int:
    """Runs pytest with its output on standard error; returns its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-c", START, str(ROOT), "-p", "benchmarks.coverage.plugin", "--coverage-to",
               str(folder.resolve()), "-p", "no:cacheprovider", *SESSIONS[name]]
    return subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode


def _report(folders: list[Path]) -> Report:
    reached: dict[str, set[str]] = defaultdict(set)
    try:
        for folder in folders:
            for group, names in json.loads((folder / GOALS).read_text()).items():
                reached[group].update(names)
        points = merge(read_points(folder / COUNTS) for folder in folders)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename}: the tests have left no counts; see pytest's output above") from None
    return make_report(points, read_holes(HOLES.read_text()), reached, goals(CONFIG))


if __name__ == "__main__":
    sys.exit(main())
