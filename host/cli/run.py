"""``arrayloom run``: a program on one input, outputs to a file."""

import argparse
import time
from pathlib import Path
from typing import Any

from arrayloom.host.cli.bar import run_progress
from arrayloom.host.cli.common import (
    add_backend,
    add_command,
    add_json,
    lines_of_notices,
    lines_of_report,
    print_json,
    require_writable,
)
from arrayloom.host.cli.wave_options import add_waves, device_of
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.outputs import save_arrays
from arrayloom.host.runtime.session import Session
from arrayloom.isa.program import Program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "run", _run, "run a program on one input",
                         "arrayloom run digits.loom --input digit.png --preprocess digits --output out.npz")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="image, .npy or .npz")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for an image")
    parser.add_argument("--output", type=Path, metavar="FILE.npz", help="file for the model's outputs")
    add_backend(parser)
    add_waves(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    if options.output:
        require_writable(options.output)
    program = Program.load(options.program)
    config = program.configuration
    inputs = load_inputs(options.input, program.model_inputs, options.preprocess)
    begin = time.perf_counter()
    with Session(program, config, device=device_of(options, config)) as session, \
            run_progress("running", options.json) as progress:
        outputs = session.run(inputs, progress)
        report = session.report
    if options.output:
        save_arrays(options.output, outputs)
    if options.json:
        print_json({"program": str(options.program), "config": program.config, "backend": report.backend,
                    "outputs": {name: list(value.shape) for name, value in outputs.items()},
                    "total_seconds": time.perf_counter() - begin, "notes": program.notes, "notices": program.notices}
                   | figures_of_host(program) | report.figures())
        return 0
    for name, value in outputs.items():
        limits = f", from {value.min():.6g} to {value.max():.6g}" if value.size else ""
        print(f"{name}: {value.dtype}{list(value.shape)}{limits}")
    print("\n".join([*lines_of_host(program), *lines_of_report(report), *lines_of_notices(program.notices)]))
    return 0
