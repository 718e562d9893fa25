"""Times and peak memory of one network: compilation, emulator, RTL, and on request the one-time build."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.session import Session
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.program import Program
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import accelerator
from benchmarks.command import SUCCESS, add_network, parser_of, run
from benchmarks.isolated import isolated
from benchmarks.output import deliver

BACKENDS = ("emulator", "rtl")


def measure(model: Path, file: Path, recipe: str | None, config: Config, backends: list[str],
            with_build: bool) -> dict[str, Any]:
    """Seconds, cycles and bytes, each part measured in a separate process.

    ``total_seconds`` of a backend count from the program to the outputs; ``wall_seconds`` of the RTL cover only the
    run. Missing cache entries are built before anything is timed.
    """
    if "rtl" in backends and not with_build:
        build(accelerator(config))
    result: dict[str, Any] = {"model": model.name, "config": config.name}
    if with_build:
        seconds, peak = _cold_build(config)
        result["build"] = {"seconds": seconds, "peak_memory_bytes": peak}
    (program, seconds), peak = isolated(_compile, model, config)
    result["compile"] = {"seconds": seconds, "peak_memory_bytes": peak, "instructions": len(program)}
    for backend in backends:
        figures, peak = isolated(_execute, program, file, recipe, backend)
        result[backend] = figures | {"peak_memory_bytes": peak}
    return result


def _cold_build(config: Config) -> tuple[float, int]:
    """Runs with empty caches, both ours and that of Yosys's machine code."""
    with tempfile.TemporaryDirectory() as folder:
        return isolated(_build, config, Path(folder), variables={"XDG_CACHE_HOME": folder})


def _build(config: Config, cache: Path) -> float:
    begin = time.perf_counter()
    build(accelerator(config), cache=cache)
    return time.perf_counter() - begin


def _compile(model: Path, config: Config) -> tuple[Program, float]:
    begin = time.perf_counter()
    program = compile_model(model, config=config)
    return program, time.perf_counter() - begin


def _execute(program: Program, file: Path, recipe: str | None, backend: str) -> dict[str, Any]:
    inputs = load_inputs(file, program.model_inputs, recipe)
    begin = time.perf_counter()
    device = open_device(backend, program.configuration)
    with Session(program, program.configuration, device=device) as session:
        session.run(inputs)
        return session.report.figures() | {"total_seconds": time.perf_counter() - begin}


def main() -> int:
    parser = parser_of("benchmarks.network", __doc__)
    add_network(parser)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS))
    parser.add_argument("--build", action="store_true", help="time the build of the simulator too, with an empty cache")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    result = measure(options.model, options.input, options.preprocess, load_config(options.config), options.backends,
                     options.build)
    if deliver(options, result):
        _print(result)
    return SUCCESS


def _print(result: dict[str, Any]) -> None:
    table = Table(box=SIMPLE, title=f"{result['model']} on {result['config']}", title_justify="left")
    table.add_column("")
    for name in ("seconds", "peak memory", "cycles", "utilization", "MMAC/s"):
        table.add_column(name, justify="right")
    for part in ("build", "compile", *BACKENDS):
        if part in result:
            table.add_row(part, *_cells(result[part]))
    Console(markup=False, emoji=False).print(table)


def _cells(figures: dict[str, Any]) -> list[str]:
    seconds = figures.get("seconds", figures.get("wall_seconds"))
    cells = [f"{seconds:.2f}", f"{figures['peak_memory_bytes'] / (1 << 30):.2f} GiB"]
    if figures.get("cycles"):
        cells += [f"{figures['cycles']:,}", f"{figures['utilization']:.1%}"]
    elif "macs" in figures:
        cells += ["", ""]
    return [*cells, f"{figures['macs_per_second'] / 1e6:,.0f}"] if "macs" in figures else cells


if __name__ == "__main__":
    sys.exit(main())
