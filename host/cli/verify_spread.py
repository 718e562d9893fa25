"""``arrayloom verify`` over workers."""

import argparse
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from arrayloom.host.cli.bar import tasks_progress
from arrayloom.host.cli.common import print_json, require_no_board_port
from arrayloom.host.cli.import_options import import_options
from arrayloom.host.cli.pool_options import lines_of_tasks
from arrayloom.host.cli.verdict_report import print_verdict
from arrayloom.host.cli.wave_options import require_no_waves
from arrayloom.host.pool.task import Workers
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.reference import saturation_notice
from arrayloom.host.segments.forecast import Forecast
from arrayloom.host.segments.verify import forecast_files_over, verify_files_over


def run(options: argparse.Namespace, where: Workers) -> int:
    """Verifies, or prints a forecast; returns the exit code."""
    if options.backend != "rtl":
        raise InputError(f"--workers, --ray: the {options.backend} is not spread; leave them out, or take --backend rtl")
    require_no_board_port(options, "a board's run is not spread")
    require_no_waves(options, "the run is spread over workers; leave out --workers or --ray, and one process records them")
    arguments = options.model, options.input, options.preprocess, options.config
    if options.dry_run:
        return _print_forecast(options, forecast_files_over(where, *arguments, options=import_options(options)))
    if notice := saturation_notice():
        print(f"note: {notice}", file=sys.stderr)
    with tasks_progress("verifying", options.json, "segments") as progress:
        found = verify_files_over(where, *arguments, progress, import_options(options))
    lines = [] if found.exact else [_estimate(found.tasks)]
    return print_verdict(options, found.verdict, [*lines, *lines_of_tasks(found.tasks)], cycles_exact=found.exact,
                         segments=found.tasks)


def _estimate(tasks: list[dict[str, Any]]) -> str:
    """Lines about the segments that could not be joined."""
    apart = [f"{task['segment']} and {task['segment'] + 1}" for task, following in pairwise(tasks)
             if following.get("segment") and task["joins_at"] is None]
    return f"estimate     the cycles: segments {', '.join(apart)} did not come to the same state of the accelerator"


def _print_forecast(options: argparse.Namespace, found: Forecast) -> int:
    if options.json:
        print_json({"model": str(options.model), "config": options.config} | found.figures())
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(found: Forecast) -> Iterator[str]:
    """The forecast as lines of text."""
    yield f"cycles       {found.cycles:,} predicted, {found.simulated / found.cycles - 1:.1%} more are simulated twice"
    for part in found.parts:
        name = f"image {part.image}" + (f", {part.segment}" if part.segment else "")
        yield f"  {part.begin:7.2f} s to {part.end:7.2f} s  {part.cycles:>13,} cycles  {name}"
    yield (f"predicted    {found.seconds:.2f} s on {found.workers} workers, {found.alone:.2f} s on one, once the model is "
           "compiled")
    yield (f"measured     {found.speed.simulated / 1e6:.2f} M cycles/s of a worker, {found.speed.emulated / 1e6:.2f} of the "
           f"emulator: {found.speed.measured}")
