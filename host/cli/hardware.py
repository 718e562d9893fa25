"""``arrayloom verilog`` and ``synth``: write the accelerator as Verilog, and place it on an FPGA."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.host.analysis.synthesis.families import FAMILIES, find_device
from arrayloom.host.analysis.synthesis.flow import Synthesis, synthesize
from arrayloom.host.analysis.synthesis.tools import NEXTPNR
from arrayloom.host.cli.common import add_command, add_config, add_json, print_json
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.process import Stopwatch

CONFIG, FAMILY, TARGET, SEED = "edge", "ecp5", 125.0, 1     # defaults of a synthesis
MOST_SEEDS = 64
SUCCESS, FAULTY = 0, 1


def add_verilog(commands: Any) -> None:
    parser = add_command(commands, "verilog", _verilog, "write the accelerator as Verilog, with its ports and registers as "
                         "JSON, C header, SystemRDL and IP-XACT", "arrayloom verilog --config 32x32 -o rtl/")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    add_config(parser)


def _verilog(options: argparse.Namespace) -> int:
    from arrayloom.host.runtime.export import export_verilog

    verilog, sidecar, *_ = export_verilog(load_config(options.config), options.output)
    print(verilog)
    print(sidecar)      # its name is also that of the other files
    return 0


def add_synth(commands: Any) -> None:
    parser = add_command(commands, "synth", _synth, "map the accelerator to an FPGA, and place and route it if an open tool "
                         "supports the family: resources, clock, critical path", "arrayloom synth --config edge --json")
    add_config(parser, CONFIG)
    parser.add_argument("--target", action="append", default=[], metavar="FAMILY|MHZ",
                        help=f"{', '.join(FAMILIES)} (default {FAMILY}; {', '.join(NEXTPNR)} are placed and routed, the "
                        f"others mapped), or the target clock (default {TARGET:g} MHz); may be given for both")
    parser.add_argument("--device", metavar="NAME", help="part of the family; the first is the default: " + "; ".join(
        f"{family.name} {', '.join(part.name for part in family.parts)}" for family in FAMILIES.values()))
    grades = {family.name: family.parts[0].speeds for family in FAMILIES.values() if family.parts[0].speeds}
    parser.add_argument("--speed", type=int, metavar="GRADE", help="speed grade: " + "; ".join(
        f"{name} {', '.join(map(str, speeds))}" for name, speeds in grades.items())
        + "; the first is the default and the slowest")
    seeds = parser.add_mutually_exclusive_group()
    seeds.add_argument("--seed", type=int, default=SEED, help=f"seed of the placement (default {SEED})")
    seeds.add_argument("--seeds", type=int, metavar="N", help="place and route from the seeds 1 to N; reports the "
                       "fastest result, and the median of all")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="keep Verilog, netlist, reports and logs")
    add_json(parser)


def _synth(options: argparse.Namespace) -> int:
    family, target = _targets(options.target)
    if options.seeds is not None and not 1 <= options.seeds <= MOST_SEEDS:
        raise InputError(f"--seeds {options.seeds}: must be from 1 to {MOST_SEEDS}")
    seeds = [options.seed] if options.seeds is None else list(range(1, options.seeds + 1))
    config, device = load_config(options.config), find_device(family, options.device, options.speed)
    with _folder(options.output) as folder:
        found = synthesize(config, device, seeds, target, folder, Stopwatch())
    if options.json:
        print_json(found.figures())
    else:
        _print(found)
    return FAULTY if found.faults else SUCCESS


def _targets(values: list[str]) -> tuple[str, float]:
    """The family and the clock, each from the last option that gives one."""
    family, target = FAMILY, TARGET
    for value in values:
        try:
            target = float(value)
        except ValueError:
            family = value
    if not (math.isfinite(target) and target > 0):
        raise InputError(f"--target {target:g}: must be a positive number of MHz, or one of {', '.join(FAMILIES)}")
    return family, target


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The working folder: the user's, or a temporary one."""
    if output is None:
        with TemporaryDirectory() as folder:
            yield Path(folder)
        return
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error.strerror}") from None
    yield output


def _print(found: Synthesis) -> None:
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    if found.best is None:
        console.print(f"device       {found.device}, mapped and not placed: no clock")
    else:
        console.print(f"clock        {found.best.clock_mhz:.1f} MHz on {found.device}, seed {found.best.seed}, "
                      f"towards {found.target_mhz:g} MHz")
    if len(found.routes) > 1:
        clocks = ", ".join(f"{route.seed}: {route.clock_mhz:.1f}" for route in found.routes)
        console.print(f"median       {found.median_mhz:.1f} MHz of the seeds {clocks}")
    for name, usage in found.usage.items():
        console.print(f"{name.replace('_', ' '):<12} {usage.used:,} of {usage.available:,}")
    console.print(f"array        {found.array_multipliers} of {found.config.multipliers} multipliers in DSP blocks")
    for kind in ("block", "distributed", "registers"):
        count = sum(memory.kind == kind for memory in found.memories)
        console.print(f"memories     {count} in {'registers' if kind == 'registers' else kind + ' RAM'}")
    console.print(_units(found))
    if found.critical_path:
        console.print(_path(found))
    for fault in found.faults:
        console.print(f"FAULT: {fault}")


def _units(found: Synthesis) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, title="by unit, before placement", title_justify="left")
    table.add_column("unit")
    for name in found.usage:
        table.add_column(name.replace("_", " "), justify="right")
    for unit, counts in found.units.items():
        table.add_row(unit, *(f"{counts[name]:,}" for name in found.usage))
    return table


def _path(found: Synthesis) -> Any:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, title=f"critical path, {found.critical_path_ns:.2f} ns", title_justify="left")
    for name in ("module", "from signal"):
        table.add_column(name)
    for name in ("logic ns", "routing ns"):
        table.add_column(name, justify="right")
    for part in found.critical_path:
        table.add_row(part.module, part.signal, f"{part.logic_ns:.2f}", f"{part.routing_ns:.2f}")
    return table
