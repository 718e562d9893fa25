"""Runs programs on Icarus Verilog without power-up values and on Verilator: same bytes and counters, nothing unknown.

Exit code 1 if a program differs from the emulator or between the simulators, if a valid output was unknown,
or if the bus protocol was violated.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.host.cli.common import add_config
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.process import Report, Stopwatch
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.second_simulator.bench import Case, Simulate
from benchmarks.second_simulator.cases import CASES
from benchmarks.second_simulator.compare import compare
from benchmarks.second_simulator.simulators import icarus, verilator


def main() -> int:
    parser = parser_of("benchmarks.second_simulator", __doc__)
    add_config(parser, "tiny")
    parser.add_argument("--program", action="append", choices=CASES, help="may be given several times (default: all)")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    report, config = Stopwatch(), load_config(options.config)
    with TemporaryDirectory() as folder:
        second = icarus(config, Path(folder), report)
        first = verilator(config, report)
        makers = [CASES[name] for name in options.program or CASES]
        rows = [_row(lambda make=make: make(config), second, first, report) for make in makers]
    if deliver(options, {"config": config.name, "programs": rows}):
        for row in rows:
            print(f"{row['name']}: {row['cycles']:,} cycles, with Verilator {row['verilator_cycles']:,}; "
                  f"{row['differing_bytes']} bytes differ, {row['unknown_outputs']} outputs unknown; {row['seconds']} s")
    faults = [f"{row['name']}: {fault}" for row in rows for fault in row["faults"]]
    for fault in faults:
        print(fault, file=sys.stderr)
    return OUTSIDE if faults else SUCCESS


def _row(make: Callable[[], Case], second: Simulate, first: Simulate, report: Report) -> dict[str, Any]:
    case = make()
    report(f"run {case.name}")
    return compare(case, second, first)


if __name__ == "__main__":
    sys.exit(main())
