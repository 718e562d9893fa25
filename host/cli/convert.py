"""``arrayloom convert``: a registered model to a registered program."""

import argparse
import sys
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_config
from arrayloom.host.cli.registry import add_labels, add_verb, find, labels, open_workspace, print_one
from arrayloom.host.models.quantize.scales import METHODS
from arrayloom.host.workspace.errors import WorkspaceError
from arrayloom.host.workspace.model import Model
from arrayloom.host.workspace.operation import Operation


def add_parser(commands: Any) -> None:
    parser = add_verb(commands, "convert", _run, "compile a registered model; a float one is quantized first",
                      "arrayloom convert resnet50 --preprocess imagenet --labels imagenet.txt --calibration photographs/")
    parser.add_argument("reference", metavar="MODEL[:VERSION]")
    parser.add_argument("--name", metavar="NAME", help="of the program (default: the model's with .loom)")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe that makes the network's input from an image")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="class names, one a line")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER|FILE.npz", help="images that a float network is run on")
    parser.add_argument("--method", choices=METHODS, default="minmax", help="of quantization (default minmax)")
    parser.add_argument("--inputs", default="", metavar="NAME,..", help="tensors of a TensorFlow SavedModel")
    parser.add_argument("--outputs", default="", metavar="NAME,..")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop the conversion after that time")
    parser.add_argument("--no-wait", action="store_true", help="return at once; see it with: arrayloom operation show ID")
    add_labels(parser)
    add_config(parser)


def _run(options: argparse.Namespace) -> int:
    from arrayloom.host.workspace.converter import AccelOnnxConverter

    workspace = open_workspace(options)
    started = AccelOnnxConverter.convert(
        workspace, find(Model, workspace, options.reference), model_name=options.name, config=options.config,
        preprocess=options.preprocess, labels=options.labels, calibration=options.calibration, method=options.method,
        tags=labels(options.tag, "--tag"), properties=labels(options.property, "--property"),
        description=options.description, inputs=_names(options.inputs), outputs=_names(options.outputs))
    if options.no_wait:
        return print_one(options, started.serialize())
    finish(started, options.timeout, not options.json)
    return print_one(options, started.result.serialize())


def finish(started: Operation, timeout: float | None, show: bool) -> None:
    """Waits for an operation; raises ``WorkspaceError`` where it fails. An interruption cancels it."""
    try:
        done = started.wait_for_completion(show_output=show and sys.stdout.isatty(), timeout=timeout)
    except KeyboardInterrupt:
        started.cancel()
        raise
    if not done:
        raise WorkspaceError(f"{started.entry.reference} is {started.status}: {started.error}")


def _names(text: str) -> list[str]:
    return text.split(",") if text else []
