"""Plants faults in the netlist of `tiny`, and runs each through the bodies of the tests: which does none of them notice?

    python -m benchmarks.mutation                    1,200 faults, drawn by Yosys over all units
    python -m benchmarks.mutation --unit post --count 300 --seed 2
    python -m benchmarks.mutation --source           faults written by hand, each in the source and with the tests that fail

Exit code 1 where fewer than 95 % are noticed, or where one that is not has no explanation in survivors.json.
"""

import argparse
import os
import sys
import time

from arrayloom.host.cli.bar import tasks_progress
from arrayloom.host.pool.local import LocalWorkers
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import Stopwatch
from benchmarks.command import BAD_INPUT, OUTSIDE, SUCCESS, parser_of, run
from benchmarks.mutation import source
from benchmarks.mutation.equivalence import Prover
from benchmarks.mutation.hunt import hunt, noticed
from benchmarks.mutation.model import Planted, planted
from benchmarks.mutation.places import UNITS
from benchmarks.mutation.score import Outcome, failures, lines
from benchmarks.output import deliver

COUNT, SEED = 1200, 1


def main() -> int:
    parser = parser_of("benchmarks.mutation", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help="faults to plant (default %(default)s)")
    parser.add_argument("--unit", action="append", choices=UNITS, help="only in this unit; may be given again")
    parser.add_argument("--seed", type=int, default=SEED, metavar="S", help="draws others (default %(default)s)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes (default one a processor: %(default)s)")
    parser.add_argument("--source", action="store_true", help="the faults of sources.json instead")
    parser.add_argument("--only", metavar="TEXT", help="with --source: those whose name holds TEXT")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if options.count < 1:
        print(f"--count {options.count}: must be 1 or more", file=sys.stderr)
        return BAD_INPUT
    if options.source:
        return source.action(options)
    begin, report = time.monotonic(), Stopwatch()
    model = planted(PRESETS["tiny"], options.count, options.seed, tuple(options.unit or UNITS), report)
    if (wrong := noticed(model.build, early=True)) is not None:
        report(f"without any fault, {wrong.stimulus} fails: {wrong.text}")
        return BAD_INPUT
    outcome = Outcome(model.mutants)
    workers = LocalWorkers(options.workers)
    _hunt(outcome, model, True, workers, options, report)
    report(f"{len(outcome.noticed)} of {len(model.mutants)} noticed; prove of the others that they change anything")
    outcome.equivalent = Prover(Netlist(model.netlist)).equivalent(outcome.left())
    _hunt(outcome, model, False, workers, options, report)
    figures = outcome.figures(time.monotonic() - begin)
    reasons = list(failures(figures))
    if deliver(options, figures):
        print("\n".join(lines(figures)))
    print("\n".join(reasons), file=sys.stderr)
    return OUTSIDE if reasons else SUCCESS


def _hunt(outcome: Outcome, model: Planted, early: bool, workers: LocalWorkers, options: argparse.Namespace,
          report: Stopwatch) -> None:
    left = outcome.left()
    report(f"run {len(left)} faults through the {'first' if early else 'other'} stimuli")
    with tasks_progress("hunting", options.json is not None, "faults", len(left)) as progress:
        for mutant, found in hunt(model.build, left, early, workers, progress):
            if found is not None:
                outcome.noticed[mutant.number] = found


if __name__ == "__main__":
    sys.exit(main())
