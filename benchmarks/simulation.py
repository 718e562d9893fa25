"""Speed of the fast simulation against the same without sleeping registers, in one process, run by run in turn.

Without sleeping registers is the build as it was before there were islands: the same commands of Verilator and g++, the same
options. Memory, every word that the POST unit writes, counters and cycles are compared after each run; exit code 1 when
anything differs. Times are those of the run from the doorbell to the interrupt.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.driver import Driver
from arrayloom.host.runtime.errors import InputError, RunError
from arrayloom.host.runtime.stall import describe
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Register
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, SLEEPLESS, Variant, accelerator
from arrayloom.sim.rtl.simulator import Timing
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.isolated import isolated
from benchmarks.networks import NETWORKS, Network, chosen, data_folder
from benchmarks.output import deliver
from benchmarks.prepared import prepared_memory
from benchmarks.table import markdown

ROWS = ("resnet50@16x16", "resnet50@32x32", "resnet50@64x64")
VARIANTS = (SLEEPLESS, FAST)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> int:
    parser = parser_of("benchmarks.simulation", __doc__)
    parser.add_argument("rows", nargs="*", default=ROWS, metavar="NETWORK@CONFIG",
                        help=f"networks: {', '.join(NETWORKS)}; default {' '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each build (default %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of networks and photographs")
    parser.add_argument("--build", action="store_true", help="time both builds too, each with an empty cache")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if options.rounds < 1:
        raise InputError(f"--rounds {options.rounds}: must be 1 or more")
    data, pairs = data_folder(options.data), chosen(options.rows)
    rows = []
    for network, config in pairs:
        print(f"{network.title} on {config}", file=sys.stderr)
        rows.append(_row(network, load_config(config), data, options.rounds, options.build))
    if deliver(options, {"rounds": options.rounds, "rows": rows}):
        print("\n".join(_table(rows)))
    return SUCCESS if all(row["equal"] for row in rows) else OUTSIDE


def _row(network: Network, config: Config, data: Path, rounds: int, with_build: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        model, image = network.files(data, Path(scratch))
        program = compile_model(model, config=config)
        memory = prepared_memory(program, image, network.recipe)
    row: dict[str, Any] = {"network": network.title, "config": config.name}
    if with_build:
        row["build_seconds"] = {variant.name: _cold_build(config, variant) for variant in VARIANTS}
    builds = {variant.name: build(accelerator(config), variant) for variant in VARIANTS}
    return row | compare(builds, program, memory, rounds)


def compare(builds: dict[str, Build], program: Program, memory: Memory, rounds: int) -> dict[str, Any]:
    """Runs ``program`` on a copy of ``memory`` with each build in turn, so many times.

    Returns ``cycles``, ``digest`` and the times of each build by its name; ``ratio``: times of the first build over those of
    the last, of the best run and of the median; ``equal``: whether every run did the same in as many cycles.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    for number in range(rounds):
        for name, one in builds.items():
            runs[name].append(_run(one, program, memory.copy()))
            print(f"round {number + 1} of {rounds}: {name} {runs[name][-1]['wall']:.2f} s", file=sys.stderr)
    figures = {name: {"cycles": found[0]["cycles"], "digest": found[0]["digest"]}
               | {clock: _summary([one[clock] for one in found]) for clock in CLOCKS} for name, found in runs.items()}
    results = {(one["cycles"], one["digest"]) for found in runs.values() for one in found}
    first, last = figures[next(iter(builds))], figures[list(builds)[-1]]
    ratio = {clock: {kind: first[clock][kind] / last[clock][kind] for kind in ("minimum", "median")} for clock in CLOCKS}
    return {"cycles": last["cycles"], "equal": len(results) == 1, "ratio": ratio, "builds": figures}


def _run(one: Build, program: Program, memory: Memory) -> dict[str, Any]:
    """Seconds by each clock, cycles, and a digest of all that the accelerator did."""
    driver = Driver(one, program, memory, Timing())
    driver.simulator.record()
    begin = {name: clock() for name, clock in CLOCKS.items()}
    status = driver.run()
    seconds = {name: clock() - begin[name] for name, clock in CLOCKS.items()}
    if not status.done:
        raise RunError(describe(driver, status))
    addresses, words = driver.simulator.take_trace()
    digest = hashlib.sha256(repr(driver.counters()).encode())
    for array in (np.asarray(memory), addresses, words):
        digest.update(array.tobytes())
    result = seconds | {"cycles": driver.read_64(Register.CYCLES), "digest": digest.hexdigest()}
    driver.close()
    return result


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"minimum": min(seconds), "median": statistics.median(seconds)}


def _cold_build(config: Config, variant: Variant) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return isolated(_build, config, variant, Path(folder), variables={"XDG_CACHE_HOME": folder})[0]


def _build(config: Config, variant: Variant, cache: Path) -> float:
    begin = time.perf_counter()
    build(accelerator(config), variant, cache=cache)
    return time.perf_counter() - begin


def _table(rows: list[dict[str, Any]]) -> list[str]:
    head = ["network", "preset", "cycles", *(f"{variant.name}, best run" for variant in VARIANTS),
            "ratio, best run", "ratio, median", "ratio, CPU time", "results"]
    timed = any("build_seconds" in row for row in rows)
    head += [f"build {variant.name}" for variant in VARIANTS] if timed else []
    return markdown(head, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["network"], f"`{row['config']}`", f"{row['cycles']:,}"]
    cells += [f"{row['builds'][variant.name]['wall']['minimum']:.2f} s" for variant in VARIANTS]
    cells += [f"{row['ratio'][clock][kind]:.2f}" for clock, kind in (("wall", "minimum"), ("wall", "median"),
                                                                    ("cpu", "minimum"))]
    cells.append("equal" if row["equal"] else "DIFFERENT")
    return [*cells, *(f"{row['build_seconds'][variant.name]:.1f} s" for variant in VARIANTS if "build_seconds" in row)]


if __name__ == "__main__":
    sys.exit(main())
