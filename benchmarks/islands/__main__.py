"""Trains the islands of the fast simulation: runs a network, samples which registers change when, and writes the table.

The simulator reports in every cycle which registers are enabled and which change; a sample is taken every 499 cycles, and no
cycle is skipped. The same run gives the same table. ``--check`` instead checks whether the hardware's registers are still
those of the table; exit code 1 if the table must be made again.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.hdl.top import Accelerator
from arrayloom.host.cli.common import add_config, require_writable
from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.config import load_config
from arrayloom.sim.rtl.islands.partition import TABLE, UNKNOWN_ALLOWED, Partition, digest_keys, read_partition
from arrayloom.sim.rtl.islands.state import State, find_state
from arrayloom.sim.rtl.netlist import Netlist
from arrayloom.sim.rtl.verilog import TOP, widened
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.islands.activity import by_key, record
from benchmarks.islands.table import table_text
from benchmarks.islands.train import Trained, train
from benchmarks.networks import chosen, data_folder
from benchmarks.output import deliver
from benchmarks.prepared import prepared_memory

PRESETS = ("tiny", "edge", "16x16", "32x32")


def main() -> int:
    parser = parser_of("benchmarks.islands", __doc__)
    add_config(parser, "16x16")
    parser.add_argument("--network", default="resnet18", metavar="NAME", help="what runs (default %(default)s)")
    parser.add_argument("--cycles", type=int, metavar="N", help="number of cycles to run (default: all)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of networks and photographs")
    parser.add_argument("--output", type=Path, default=TABLE, metavar="FILE",
                        help="the table (default: that of the package)")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=list(PRESETS),
                        help="configurations whose register digest is recorded in the table (default: all)")
    parser.add_argument("--check", action="store_true", help="only check whether the registers still have the table's names")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    return _check(options) if options.check else _train(options)


def _train(options: argparse.Namespace) -> int:
    require_writable(options.output)
    if options.cycles is not None and options.cycles < 1:
        raise InputError(f"--cycles {options.cycles}: must be 1 or more")
    config = load_config(options.config)
    ((network, _),) = chosen([f"{options.network}@{config.name}"])
    with tempfile.TemporaryDirectory() as scratch:
        model, image = network.files(data_folder(options.data), Path(scratch))
        program = compile_model(model, config=config)
        memory = prepared_memory(program, image, network.recipe)
    netlist, states = _netlist(options.config)
    samples = record(program, memory, len(states), options.cycles, _progress)
    print(file=sys.stderr)
    if not len(samples):
        raise InputError(f"--cycles {options.cycles}: too few for a sample; leave the option out, or give more")
    trained = train(netlist, states, by_key(states, samples))
    made_for = {preset: digest_keys(_netlist(preset)[1]) for preset in options.presets}
    options.output.write_text(table_text(trained, made_for))
    figures = {"network": network.title, "config": config.name, "samples": len(samples), "islands": len(trained.islands),
               "guards": trained.guards, "cost": trained.cost, "output": str(options.output)}
    if deliver(options, figures):
        print("\n".join(_lines(trained, figures)))
    return SUCCESS


def _netlist(config: str) -> tuple[Netlist, list[State]]:
    with widened(Accelerator(load_config(config)), TOP) as (_, netlist):
        return netlist, list(find_state(netlist))


def _progress(cycles: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{cycles:,} cycles", end="", file=sys.stderr)


def _lines(trained: Trained, figures: dict[str, Any]) -> list[str]:
    lines = [f"{name:12} {len(registers):4} registers, awake in {share:6.1%} of the samples"
             for (name, registers), share in zip(trained.islands.items(), trained.shares, strict=True)]
    return [*lines, f"{figures['samples']:,} samples, {figures['islands']} islands, {figures['guards']} guards, cost of a "
                    f"cycle {figures['cost']:.1f}", f"written {figures['output']}"]


def _check(options: argparse.Namespace) -> int:
    partition = read_partition(options.output)
    rows = [_checked(partition, preset) for preset in partition.made_for]
    stale = any(row["unknown"] > UNKNOWN_ALLOWED for row in rows)
    if deliver(options, {"presets": rows, "train_again": stale}):
        for row in rows:
            state = "the registers of the table" if row["same"] else f"{row['unknown']:.1%} of the registers are unknown"
            print(f"{row['preset']:8} {state}")
        if stale:
            print("train again: python -m benchmarks.islands")
    return OUTSIDE if stale else SUCCESS


def _checked(partition: Partition, preset: str) -> dict[str, Any]:
    states = _netlist(preset)[1]
    return {"preset": preset, "same": digest_keys(states) == partition.made_for[preset],
            "unknown": partition.unknown_share(states)}


if __name__ == "__main__":
    sys.exit(main())
