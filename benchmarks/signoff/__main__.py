"""Runs all checks required to sign off the hardware, and writes the tables of checks and of units with their stages.

Exit code 1 if a check fails. Takes two hours on two cores; ``--results DIR`` stores the results, and checks with
stored results are not run again.
"""

import argparse
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.host.cli.common import require_writable
from arrayloom.host.runtime.errors import InputError
from arrayloom.sim.rtl.process import Stopwatch
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.signoff.checks import CHECKS, Check, Result
from benchmarks.signoff.page import page
from benchmarks.signoff.stages import units

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = parser_of("benchmarks.signoff", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [check.name for check in CHECKS]
    parser.add_argument("--only", action="append", choices=names, metavar="CHECK",
                        help=f"may be given again; there are {', '.join(names)}")
    parser.add_argument("--results", type=Path, metavar="DIR",
                        help="store the results; checks with stored results are not run again")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the page, as for docs/signoff.md")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if options.output is not None:
        require_writable(options.output)
    chosen = [check for check in CHECKS if options.only is None or check.name in options.only]
    with TemporaryDirectory() as temporary:
        folder: Path = options.results or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = {check.name: _result(check, folder, Stopwatch()) for check in chosen}
    verdicts = {check.name: check.read(results[check.name]) for check in chosen}
    rows = units(results)
    text = page(CHECKS, verdicts, rows)
    if options.output is not None:
        options.output.write_text(text, encoding="utf-8")
    listed = [{"name": check.name, "must": check.must, "command": check.text, "found": verdicts[check.name].found,
               "met": verdicts[check.name].met, "seconds": results[check.name]["seconds"]} for check in chosen]
    stages = {unit: row.figures() for unit, row in rows.items()}
    if deliver(options, {"checks": listed, "units": stages}):
        print(text)
    return SUCCESS if all(verdict.met for verdict in verdicts.values()) else OUTSIDE


def _result(check: Check, folder: Path, report: Stopwatch) -> Result:
    """The result of a check, from the folder or by running it.

    Raises ``InputError`` if the command leaves no readable results; a failed check leaves results too.
    """
    kept = folder / f"{check.name}.json"
    if not kept.exists():
        report(f"{check.name}: about {check.minutes} minutes")
        kept.write_text(json.dumps(_run(check, folder)), encoding="utf-8")
    try:
        result: Result = json.loads(kept.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{kept}: is not JSON: {error}; delete it, so that {check.name} runs again") from None
    return result


def _run(check: Check, folder: Path) -> Result:
    written = folder / f"{check.name}.out"
    written.unlink(missing_ok=True)
    begin = time.monotonic()
    command = [sys.executable, *check.command, "--junitxml" if check.is_tests else "--json", str(written.resolve())]
    with (folder / f"{check.name}.log").open("w") as log:
        code = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if not written.exists():
        raise InputError(f"{check.text}: ends with code {code} and without results; its output is {folder / check.name}.log")
    result = _of_tests(written) if check.is_tests else json.loads(written.read_text(encoding="utf-8"))
    written.unlink()
    return {**result, "seconds": round(time.monotonic() - begin)}


def _of_tests(file: Path) -> Result:
    """The counts of pytest's report."""
    suites = ElementTree.parse(file).getroot().iter("testsuite")
    counts = [{key: int(suite.get(key, "0")) for key in ("tests", "skipped", "failures", "errors")} for suite in suites]
    return {key: sum(one[key] for one in counts) for key in ("tests", "skipped", "failures", "errors")}


if __name__ == "__main__":
    sys.exit(main())
