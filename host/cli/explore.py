"""``arrayloom explore``: one network on several accelerators."""

import argparse
import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.exploration import Candidate, compile_for, measure, weigh
from arrayloom.host.cli.bar import tasks_progress
from arrayloom.host.cli.common import add_command, add_json, lines_of_notices, print_json
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.cli.pool_options import add_workers, lines_of_tasks, workers_of
from arrayloom.host.pool.local import ThisProcess
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.isa.config import PRESETS, load_config
from arrayloom.isa.program import Program

CLOCK = 100.0


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "explore", _run, "compare accelerators for a network with the cost model",
                         "arrayloom explore resnet18_int8.onnx --configs 16x16,32x32,mine.toml --clock 150")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--configs", required=True, metavar="NAME|FILE.toml,...",
                        help=f"accelerators: {', '.join(PRESETS)}, and your own files")
    parser.add_argument("--clock", type=float, default=CLOCK, metavar="MHZ",
                        help=f"clock frequency for times in milliseconds (default {CLOCK:g})")
    parser.add_argument("--rtl", action="store_true", help="measure on the RTL too; needs --input")
    parser.add_argument("--input", type=Path, metavar="FILE", help="image, .npy or .npz for the RTL; one image")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for an image")
    add_workers(parser)
    add_import_options(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    _check(options)
    configs = [load_config(name.strip()) for name in options.configs.split(",")]
    programs = compile_for(options.model, configs, import_options(options))
    candidates, tasks = _measured(options, programs) if options.rtl else ([weigh(program) for program in programs], [])
    if options.json:
        print_json({"model": str(options.model), "clock_mhz": options.clock, "macs": candidates[0].prediction.macs,
                    "configs": [candidate.figures(options.clock) for candidate in candidates],
                    "notes": list(candidates[0].notes), "notices": list(candidates[0].notices)}
                   | ({"tasks": tasks} if tasks else {}))
    else:
        _print_table(options, candidates)
        for line in [*lines_of_tasks(tasks), *lines_of_notices(candidates[0].notices)]:
            print(line)
    return 0


def _measured(options: argparse.Namespace, programs: Iterable[Program]) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The candidates with cycles of the RTL, and the workers' figures if there are workers."""
    where = workers_of(options)
    with tasks_progress("measuring", options.json, "configurations") as progress:
        candidates, tasks = measure(programs, partial(_inputs, options), where or ThisProcess(), progress)
    return candidates, tasks if where else []


def _check(options: argparse.Namespace) -> None:
    if not (math.isfinite(options.clock) and options.clock > 0):
        raise InputError(f"--clock {options.clock:g}: must be a positive number of MHz")
    if options.rtl and options.input is None:
        raise InputError("--rtl: the RTL runs on an input; add --input FILE")
    if not options.rtl and (options.workers is not None or options.ray is not None):
        raise InputError("--workers, --ray: the cost model needs no workers; leave them out, or add --rtl")
    if not options.rtl and (options.input is not None or options.preprocess is not None):
        raise InputError("--input, --preprocess: the cost model needs no input; leave them out, or add --rtl")


def _inputs(options: argparse.Namespace, program: Program) -> dict[str, Any]:
    """The first image of the input, for the RTL."""
    batch = load_inputs(options.input, program.model_inputs, options.preprocess)
    return {name: values[:1] for name, values in batch.items()}


def _print_table(options: argparse.Namespace, candidates: list[Candidate]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, title=f"{options.model.name}, predicted cycles, {options.clock:g} MHz assumed",
                  title_justify="left")
    table.add_column("config")
    columns = ["multipliers", "on chip", "cycles", "utilization", f"ms at {options.clock:g} MHz"]
    for name in columns + (["RTL cycles", "deviation"] if options.rtl else []):
        table.add_column(name, justify="right")
    for candidate in candidates:
        table.add_row(*_cells(candidate, options.clock))
    Console(markup=False, emoji=False).print(table)


def _cells(candidate: Candidate, megahertz: float) -> list[str]:
    figures = candidate.figures(megahertz)
    cells = [figures["config"], f"{figures['multipliers']:,}", f"{figures['on_chip_bytes'] / 1024:,.0f} KiB",
             f"{figures['cycles']:,}", f"{figures['utilization']:.1%}", f"{figures['milliseconds']:,.3f}"]
    if candidate.rtl_cycles is not None:
        cells += [f"{candidate.rtl_cycles:,}", f"{candidate.deviation:+.2%}"]
    return cells
