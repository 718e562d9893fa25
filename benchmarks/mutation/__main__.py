"""Plants faults in the netlist of `tiny`, and runs each through the bodies of the tests to find those that no test detects.

    python -m benchmarks.mutation                    1,200 faults, drawn by Yosys from all units
    python -m benchmarks.mutation --unit post --count 300 --seed 2
    python -m benchmarks.mutation --source           handwritten faults in the source, each with the tests that must fail

Exit code 1 if fewer than 95 % are noticed, or if an unnoticed one has no explanation in survivors.json.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from arrayloom.host.cli.bar import tasks_progress
from arrayloom.host.pool.local import LocalWorkers
from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.process import Stopwatch
from benchmarks.command import BAD_INPUT, OUTSIDE, SUCCESS, parser_of, run
from benchmarks.mutation import source
from benchmarks.mutation.equivalence import Prover
from benchmarks.mutation.hunt import Noticed, hunt
from benchmarks.mutation.induction import Induction
from benchmarks.mutation.kept import Kept, Verdict
from benchmarks.mutation.keys import INDUCTION, PROVERS, SOLVER, Keys
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
                        help="processes (default one per processor: %(default)s)")
    parser.add_argument("--resume", type=Path, metavar="FILE",
                        help="store verdicts in FILE, and reuse those of the same netlist and tests")
    parser.add_argument("--source", action="store_true", help="use the faults of sources.json instead")
    parser.add_argument("--only", metavar="TEXT", help="with --source: only those whose name contains TEXT")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if options.count < 1:
        print(f"--count {options.count}: must be 1 or more", file=sys.stderr)
        return BAD_INPUT
    if options.source:
        return source.action(options)
    begin, report = time.monotonic(), Stopwatch()
    model = planted(PRESETS["tiny"], options.count, options.seed, tuple(options.unit or UNITS), report)
    outcome, workers = Outcome(model.mutants), LocalWorkers(options.workers)
    with Kept(options.resume, Keys(model.netlist).of) as kept:
        if kept:
            report(f"{len(kept)} verdicts are known")
        _recall(outcome, kept)
        _hunt(outcome, model, True, workers, options, kept, report)
        report(f"{len(outcome.noticed)} of {len(model.mutants)} noticed; check whether the others change anything")
        _prove(outcome, model, SOLVER, kept)
        _hunt(outcome, model, False, workers, options, kept, report)
        report(f"prove by induction which of {len(outcome.left())} faults change nothing that can be observed")
        _prove(outcome, model, INDUCTION, kept)
    figures = outcome.figures(time.monotonic() - begin)
    reasons = list(failures(figures))
    if deliver(options, figures):
        print("\n".join(lines(figures)))
    print("\n".join(reasons), file=sys.stderr)
    return OUTSIDE if reasons else SUCCESS


def _recall(outcome: Outcome, kept: Kept) -> None:
    """Takes over the known verdicts."""
    for mutant in outcome.mutants:
        for one in kept.of(mutant.number).values():
            if one.found is not None and one.by in PROVERS:
                outcome.equivalent.add(mutant.number)
            elif one.found is not None:
                outcome.noticed.setdefault(mutant.number, Noticed(one.by, one.found))


def _hunt(outcome: Outcome, model: Planted, early: bool, workers: LocalWorkers, options: argparse.Namespace, kept: Kept,
          report: Stopwatch) -> None:
    """Runs the remaining faults through the early, or the other, stimuli."""
    left = outcome.left()
    report(f"run {len(left)} faults through the {'first' if early else 'other'} stimuli")
    with tasks_progress("hunting", options.json is not None, "faults", len(left)) as progress:
        for tried in hunt(model.build, left, early, workers, progress, kept.of):
            number, found = tried.mutant.number, tried.found
            for name in tried.names:
                kept.add(Verdict(number, name, found.text if found else None))
            if found is not None:
                outcome.noticed[number] = found


def _prove(outcome: Outcome, model: Planted, by: str, kept: Kept) -> None:
    """Asks a prover which of the remaining faults change nothing."""
    asked = [one for one in outcome.left() if by not in kept.of(one.number)]
    if not asked:
        return
    prover = (Prover if by == SOLVER else Induction)(Netlist(model.netlist))
    for some in [asked] if by == SOLVER else [[one] for one in asked]:
        proved = prover.equivalent(some)
        for one in some:
            kept.add(Verdict(one.number, by, "equivalent" if one.number in proved else None))
        outcome.equivalent |= proved


if __name__ == "__main__":
    sys.exit(main())
