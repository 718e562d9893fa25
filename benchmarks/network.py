"""Compile time, emulator time and RTL time of one network: ``python -m benchmarks.network MODEL --input FILE``."""

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

from benchmarks.environment import environment
from compiler import compile_model
from host.device import open_device
from host.inputs import load_inputs
from host.session import Session
from isa.config import DEFAULT, load_config


def measure(model: Path, file: Path, recipe: str | None, config_name: str, backends: list[str]) -> dict[str, Any]:
    """Seconds and cycles; the one-time build of the simulator is measured on its own."""
    config = load_config(config_name)
    begin = time.perf_counter()
    program = compile_model(model, config=config)
    result: dict[str, Any] = {"model": model.name, "config": config_name, "compile_seconds": time.perf_counter() - begin,
                              "instructions": len(program)}
    inputs = load_inputs(file, program.inputs, recipe)
    for backend in backends:
        begin = time.perf_counter()
        device = open_device(backend, config)
        with Session(program, config, device=device) as session:
            session.run(inputs)
            assert session.report is not None
            result[backend] = session.report.figures()
            result[backend]["total_seconds"] = time.perf_counter() - begin
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--preprocess")
    parser.add_argument("--config", default=DEFAULT)
    parser.add_argument("--backends", nargs="+", default=["emulator", "rtl"])
    options = parser.parse_args()
    result = measure(options.model, options.input, options.preprocess, options.config, options.backends)
    print(json.dumps(environment() | result, indent=2))


if __name__ == "__main__":
    main()
