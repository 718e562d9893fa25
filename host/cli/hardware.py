"""``arrayloom verilog`` and ``synth``: the accelerator as Verilog, and placed on an FPGA."""

import argparse
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrayloom.host.analysis.synthesis.flow import Synthesis, synthesize
from arrayloom.host.analysis.synthesis.nextpnr import DEVICES, SPEED_GRADES, Device
from arrayloom.host.cli.common import add_command, add_config, add_json, print_json
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.process import Stopwatch

CONFIG, TARGET, SEED = "edge", 125.0, 1     # of a synthesis, where nothing else is given
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
    print(sidecar)      # which names the other files
    return 0


def add_synth(commands: Any) -> None:
    parser = add_command(commands, "synth", _synth, "place and route the accelerator for an ECP5: resources, clock, "
                         "critical path", "arrayloom synth --config edge --json")
    add_config(parser, CONFIG)
    parser.add_argument("--device", default=Device.size, metavar="SIZE",
                        help=f"{', '.join(DEVICES)} (default {Device.size})")
    parser.add_argument("--speed", type=int, default=Device.speed, metavar="GRADE",
                        help=f"speed grade: {', '.join(map(str, SPEED_GRADES))} (default {Device.speed}; "
                        f"{SPEED_GRADES[-1]} is the fastest)")
    parser.add_argument("--target", type=float, default=TARGET, metavar="MHZ",
                        help=f"clock that placement and routing work towards (default {TARGET:g})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"where placement starts (default {SEED})")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="keep Verilog, netlist, report and logs")
    add_json(parser)


def _synth(options: argparse.Namespace) -> int:
    if not (math.isfinite(options.target) and options.target > 0):
        raise InputError(f"--target {options.target:g}: must be a positive number of MHz")
    config, device = load_config(options.config), Device(options.device, options.speed)
    with _folder(options.output) as folder:
        found = synthesize(config, device, options.seed, options.target, folder, Stopwatch())
    if options.json:
        print_json(found.figures())
    else:
        _print(found)
    return FAULTY if found.faults else SUCCESS


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    """The folder to work in: the user's, or one that goes away."""
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
    console.print(f"clock        {found.clock_mhz:.1f} MHz on {found.device}, seed {found.seed}, "
                  f"towards {found.target_mhz:g} MHz")
    for name, usage in found.usage.items():
        console.print(f"{name.replace('_', ' '):<12} {usage.used:,} of {usage.available:,}")
    console.print(f"array        {found.array_multipliers} of {found.config.multipliers} multipliers in DSP blocks")
    for kind in ("block", "distributed", "registers"):
        count = sum(memory.kind == kind for memory in found.memories)
        console.print(f"memories     {count} in {'registers' if kind == 'registers' else kind + ' RAM'}")
    console.print(_units(found))
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
