"""Compares the fast simulation with one that never skips idle registers, in one process, alternately.

The latter is the build without islands: the same commands of Verilator and g++, with the same options.
With --pgo, the optimized build of `arrayloom simulator --optimize` runs as a third. Memory, every word that
the POST unit writes, counters and cycles are compared after each run; exit code 1 if anything differs. Times are
from the doorbell to the interrupt.
"""

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.errors import InputError, RunError
from arrayloom.host.runtime.stall import describe
from arrayloom.host.runtime.workload import workload_of
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Register
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import FAST, SLEEPLESS, Variant, accelerator
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.optimize import optimize
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.isolated import isolated
from benchmarks.networks import NETWORKS, Network, chosen, data_folder
from benchmarks.output import deliver
from benchmarks.prepared import prepared_memory
from benchmarks.table import markdown

ROWS = ("resnet50@16x16", "resnet50@32x32", "resnet50@64x64")
VARIANTS = (SLEEPLESS, FAST)
OPTIMIZED = "optimized"
KINDS = ("minimum", "median")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> int:
    parser = parser_of("benchmarks.simulation", __doc__)
    parser.add_argument("rows", nargs="*", default=ROWS, metavar="NETWORK@CONFIG",
                        help=f"networks: {', '.join(NETWORKS)}; default {' '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each build (default %(default)s)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of networks and photographs")
    parser.add_argument("--pgo", action="store_true", help="run the optimized build too")
    parser.add_argument("--build", action="store_true", help="time the builds too, each with an empty cache")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    if options.rounds < 1:
        raise InputError(f"--rounds {options.rounds}: must be 1 or more")
    data, pairs = data_folder(options.data), chosen(options.rows)
    rows = []
    for network, config in pairs:
        print(f"{network.title} on {config}", file=sys.stderr)
        rows.append(_row(network, load_config(config), data, options))
    if deliver(options, {"rounds": options.rounds, "rows": rows}):
        print("\n".join(_table(rows)))
    return SUCCESS if all(row["equal"] for row in rows) else OUTSIDE


def _row(network: Network, config: Config, data: Path, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        model, image = network.files(data, Path(scratch))
        program = compile_model(model, config=config)
        memory = prepared_memory(program, image, network.recipe)
    row: dict[str, Any] = {"network": network.title, "config": config.name}
    if options.build:
        row["build_seconds"] = {variant.name: _cold(_build, config, variant) for variant in VARIANTS}
        row["build_seconds"] |= {OPTIMIZED: _cold(_optimize, config)} if options.pgo else {}
    builds = {variant.name: build(accelerator(config), variant) for variant in VARIANTS}
    builds |= {OPTIMIZED: optimize(accelerator(config), workload_of(config)).build} if options.pgo else {}
    return row | compare(builds, program, memory, options.rounds)


def compare(builds: dict[str, Build], program: Program, memory: Memory, rounds: int) -> dict[str, Any]:
    """Runs ``program`` on a copy of ``memory`` with each build alternately, the given number of times.

    Returns ``cycles``, ``digest`` and the times of each build by its name; ``ratios``: of each build but the first by its
    name, times of the first over its own, of the best run and of the median; ``ratio``: that of the second build; ``equal``:
    whether every run did the same in as many cycles.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in builds}
    for number in range(rounds):
        for name, one in builds.items():
            runs[name].append(_run(one, program, memory.copy()))
            print(f"round {number + 1} of {rounds}: {name} {runs[name][-1]['wall']:.2f} s", file=sys.stderr)
    figures = {name: {"cycles": found[0]["cycles"], "digest": found[0]["digest"]}
               | {clock: _summary([one[clock] for one in found]) for clock in CLOCKS} for name, found in runs.items()}
    results = {(one["cycles"], one["digest"]) for found in runs.values() for one in found}
    first, *others = builds
    ratios = {name: {clock: {kind: figures[first][clock][kind] / figures[name][clock][kind] for kind in KINDS}
                     for clock in CLOCKS} for name in others}
    return {"cycles": figures[others[0]]["cycles"], "equal": len(results) == 1, "ratio": ratios[others[0]], "ratios": ratios,
            "builds": figures}


def _run(one: Build, program: Program, memory: Memory) -> dict[str, Any]:
    """Seconds of each clock, cycles, and a digest of everything that the accelerator did."""
    driver = RtlDriver(one, program, memory, Timing())
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


def _cold(make: Callable[..., None], *arguments: Any) -> float:
    """Seconds that ``make`` takes in a separate process, with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        return isolated(_seconds, make, arguments, variables={"XDG_CACHE_HOME": folder})[0]


def _seconds(make: Callable[..., None], arguments: tuple[Any, ...]) -> float:
    begin = time.perf_counter()
    make(*arguments)
    return time.perf_counter() - begin


def _build(config: Config, variant: Variant) -> None:
    build(accelerator(config), variant)


def _optimize(config: Config) -> None:
    optimize(accelerator(config), workload_of(config))


def _table(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["builds"])
    head = ["network", "preset", "cycles", *(f"{name}, best run" for name in names)]
    head += [f"{'' if name == FAST.name else f'{name}: '}ratio, {figure}" for name in rows[0]["ratios"]
             for figure in ("best run", "median", "CPU time")]
    head += ["results", *(f"build {name}" for name in rows[0].get("build_seconds", ()))]
    return markdown(head, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["network"], f"`{row['config']}`", f"{row['cycles']:,}"]
    cells += [f"{figures['wall']['minimum']:.2f} s" for figures in row["builds"].values()]
    cells += [f"{ratio[clock][kind]:.2f}" for ratio in row["ratios"].values()
              for clock, kind in (("wall", "minimum"), ("wall", "median"), ("cpu", "minimum"))]
    cells.append("equal" if row["equal"] else "DIFFERENT")
    return [*cells, *(f"{seconds:.1f} s" for seconds in row.get("build_seconds", {}).values())]


if __name__ == "__main__":
    sys.exit(main())
