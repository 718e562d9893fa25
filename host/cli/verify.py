"""``arrayloom verify``: every tensor against ONNX Runtime."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS, ImportOptions
from arrayloom.host.cli.bar import run_progress
from arrayloom.host.cli.common import (
    add_backend,
    add_command,
    add_config,
    add_json,
    lines_of_notices,
    lines_of_report,
    print_json,
)
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.cli.wave_options import add_waves, device_of
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
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
    add_import_options(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    verdict = verify_watched(options.model, options.input, options.preprocess, options.config, options.backend, options.json,
                             lambda config: device_of(options, config), import_options(options))
    if options.json:
        print_json({"model": str(options.model), "config": options.config, "backend": options.backend}
                   | figures(verdict))
    else:
        print("\n".join(lines_of_verdict(verdict)))
    return 0 if verdict.equal else 1


def verify_watched(model: Path, files: Sequence[Path], recipe: str | None, config: str, backend: str, quiet: bool,
                   opened: Callable[[Config], Device] | None = None, allowed: ImportOptions = DEFAULT_OPTIONS) -> Verdict:
    """``verify_files`` with a progress bar, and a note where ONNX Runtime itself is at fault on this machine."""
    if notice := saturation_notice():
        print(f"note: {notice}", file=sys.stderr)
    with run_progress("verifying", quiet) as progress:
        return verify_files(model, files, recipe, config, backend, progress, opened, allowed)


def figures(verdict: Verdict) -> dict[str, Any]:
    """The verdict under the names that ``--json`` gives it."""
    values: dict[str, Any] = {"tensors_compared": verdict.tensors_compared, "bytes_compared": verdict.bytes_compared,
              "bytes_differing": verdict.bytes_differing, "host_bytes_compared": verdict.host_bytes_compared,
              "host_bytes_differing": verdict.host_bytes_differing, "first_difference": verdict.first_difference}
    if verdict.original_top1_equal is not None:
        values |= {"original_top1_equal": verdict.original_top1_equal,
                   "original_max_abs_error": verdict.original_max_abs_error}
    values |= figures_of_host(verdict)
    return values | {"notes": verdict.notes, "notices": verdict.notices} | verdict.report.figures()


def lines_of_verdict(verdict: Verdict) -> list[str]:
    """The verdict as lines for people."""
    lines = [f"compared     {verdict.bytes_compared:,} bytes of {verdict.tensors_compared} tensors with ONNX Runtime",
             f"differing    {verdict.bytes_differing:,} bytes"]
    if verdict.host_bytes_compared:
        lines.append(f"on the host  {verdict.host_bytes_compared:,} bytes of head and tail compared, "
                     f"{verdict.host_bytes_differing:,} differ")
    if verdict.first_difference:
        lines.append(f"first        {verdict.first_difference}")
    if verdict.original_top1_equal is not None:
        lines.append(f"unlowered    {_agreement(verdict)}")
    return [*lines, *lines_of_host(verdict), *lines_of_report(verdict.report), *lines_of_notices(verdict.notices)]


def _agreement(verdict: Verdict) -> str:
    """How far the first output agrees with that of the model as given."""
    if verdict.original_max_abs_error is None:
        return "a first output of another shape"
    first = next(iter(verdict.outputs.values()))
    same = "the same" if verdict.original_top1_equal else "another"
    top = f"{same} top class" if first.size == max(first.shape, default=1) else f"largest value at {same} place"
    return f"{top}, largest difference {verdict.original_max_abs_error:.6g}"
