"""``arrayloom verify``: every tensor against ONNX Runtime."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.cli import verify_spread
from arrayloom.host.cli.bar import run_progress
from arrayloom.host.cli.common import add_backend, add_command, add_config, add_json
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.cli.pool_options import add_workers, workers_of
from arrayloom.host.cli.verdict_report import print_verdict
from arrayloom.host.cli.wave_options import add_waves, device_of
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.reference import saturation_notice
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import verify_files
from arrayloom.isa.config import Config


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "verify", _run, "compare every tensor of a model with ONNX Runtime, byte for byte",
                         "arrayloom verify resnet18_int8.onnx --input owl.jpg --preprocess imagenet --config 16x16")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--input", type=Path, required=True, nargs="+", metavar="FILE", help="images, .npy or .npz")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for images")
    add_config(parser)
    add_backend(parser)
    add_waves(parser)
    add_workers(parser)
    parser.add_argument("--dry-run", action="store_true",
                        help="with --workers or --ray: print how the work would be spread and how long it would take")
    add_import_options(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    where = workers_of(options)
    if where is not None:
        return verify_spread.run(options, where)
    if options.dry_run:
        raise InputError("--dry-run: says how workers would share the work; add --workers N or --ray HOST:PORT")
    verdict = verify_watched(options.model, options.input, options.preprocess, options.config, options.backend, options.json,
                             lambda config: device_of(options, config), import_options(options))
    return print_verdict(options, verdict)


def verify_watched(model: Path, files: Sequence[Path], recipe: str | None, config: str, backend: str, quiet: bool,
                   opened: Callable[[Config], Device] | None = None, allowed: ImportOptions = DEFAULT_OPTIONS) -> Verdict:
    """``verify_files`` with a progress bar, and a note if ONNX Runtime itself computes wrong results on this machine."""
    if notice := saturation_notice():
        print(f"note: {notice}", file=sys.stderr)
    with run_progress("verifying", quiet) as progress:
        return verify_files(model, files, recipe, config, backend, progress, opened, allowed)
