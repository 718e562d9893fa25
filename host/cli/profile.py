"""``arrayloom profile``: how a run spent its cycles."""

import argparse
import sys
from pathlib import Path
from typing import Any

from arrayloom.host.cli.bar import run_progress
from arrayloom.host.cli.common import add_command, add_config, add_json, print_json, require_writable
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.host.runtime.session import load_program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "profile", _run, "show how every unit spent its cycles, by layer and by cause",
                         "arrayloom profile resnet18_int8.onnx --input owl.jpg --preprocess imagenet --html profile.html")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx|PROGRAM.loom")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="image, .npy or .npz; its first image")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for an image")
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write a self-contained page with plots")
    parser.add_argument("--trace", type=Path, metavar="FILE.json",
                        help="write a trace for ui.perfetto.dev or chrome://tracing; 1 us is one cycle")
    add_config(parser, default=None)
    add_import_options(parser, takes_programs=True)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    for path in (options.html, options.trace):
        if path:
            require_writable(path)
    if options.html and options.html == options.trace:
        raise InputError(f"--html and --trace: both are {options.html}; give two files")
    program = load_program(options.model, options.config, import_options(options))
    batch = load_inputs(options.input, program.model_inputs, options.preprocess)
    from arrayloom.host.analysis.profile import measure
    from arrayloom.host.analysis.profile.profile_text import print_profile, verdict

    with run_progress("profiling", options.json) as progress:
        profile = measure(program, {name: values[:1] for name, values in batch.items()}, progress, options.model.name)
    if options.json:
        print_json({"model": str(options.model)} | profile.figures() | {"verdict": verdict(profile)})
    else:
        print_profile(profile)
    if options.html:
        from arrayloom.host.analysis.profile.page import write_page

        write_page(profile, options.html)
    if options.trace:
        _trace(profile, options.trace)
    return 0


def _trace(profile: Any, path: Path) -> None:
    from arrayloom.host.analysis.profile.trace_events import write_trace

    shortest = write_trace(profile, path)
    if shortest > 1:
        print(f"note: {path}: segments of causes under {shortest} cycles are merged, with their cycles in the arguments",
              file=sys.stderr)
