"""``arrayloom model`` and ``convert``: the models of a workspace, and their conversion to programs."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.artifact_commands import (
    ArtifactCommands,
    Facts,
    add_labels,
    add_verb,
    find,
    finish,
    labels,
    print_facts,
)
from arrayloom.host.cli.common import add_config, lines_of_notices, notes_alone
from arrayloom.host.cli.import_options import add_import_options
from arrayloom.host.cli.label_options import LABELS_HELP
from arrayloom.host.models.quantize.scales import METHODS
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.host.workspace import Model, Workspace
from arrayloom.host.workspace.converter import AccelOnnxConverter
from arrayloom.isa.program import Program


def add_model(commands: Any) -> None:
    group = ArtifactCommands(commands, Model, "register, list, show, download or delete the models of a workspace")
    register = group.add("register", _register, "copy a model into the workspace under the next version",
                         "resnet50.onnx --name resnet50 --tag stage=test")
    register.add_argument("file", type=Path, metavar="MODEL",
                          help=".onnx, .loom, .pt2 or the folder of a TensorFlow SavedModel; the last two can contain code, "
                               "so convert accepts them only with --allow-code")
    register.add_argument("--name", required=True, metavar="NAME")
    add_labels(register)
    group.add_list({"id": "model", "framework": "framework", "bytes": "bytes", "created": "created", "tags": "tags",
                    "parents": "from"}, "--tag stage=test")
    group.add_for_one("show", lambda model, _: model.serialize() | {"dependents": list(model.dependents())},
                      "show a model's details", "resnet50:2")
    download = group.add_for_one("download", lambda model, options: {"path": str(model.download(options.output))},
                                 "copy a model out of the workspace", "resnet50")
    download.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    group.add_delete()


def _register(workspace: Workspace, options: argparse.Namespace) -> Facts:
    return Model.register(workspace, options.file, options.name, **labels(options)).serialize()


def add_convert(commands: Any) -> None:
    parser = add_verb(commands, "convert", _convert, "compile a registered model; a float model is quantized first",
                      "arrayloom convert resnet50 --preprocess imagenet --labels imagenet.txt --calibration photographs/")
    parser.add_argument("reference", metavar="MODEL[:VERSION]")
    parser.add_argument("--name", metavar="NAME", help="name of the program (default: the model's with .loom)")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe that turns an image into the network's input")
    parser.add_argument("--labels", type=Path, metavar="FILE|NAME", help=LABELS_HELP)
    parser.add_argument("--calibration", type=Path, metavar="FOLDER|FILE.npz", help="images on which a float network is "
                                                                                    "run to find value ranges")
    parser.add_argument("--method", choices=METHODS, default="minmax", help="of quantization (default minmax)")
    parser.add_argument("--inputs", default="", metavar="NAME,..", help="tensors of a TensorFlow SavedModel")
    parser.add_argument("--outputs", default="", metavar="NAME,..")
    parser.add_argument("--allow-code", action="store_true",
                        help="allow a .pt2 archive or a SavedModel to run code, which can be any code: for files you trust")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="stop the conversion after that time")
    parser.add_argument("--no-wait", action="store_true", help="return at once; check progress with: arrayloom operation "
                                                               "show ID")
    add_labels(parser)
    add_config(parser)
    add_import_options(parser)


def _convert(workspace: Workspace, options: argparse.Namespace) -> Facts:
    started = AccelOnnxConverter.convert(
        workspace, find(Model, workspace, options.reference), model_name=options.name, config=options.config,
        preprocess=options.preprocess, labels=options.labels, calibration=options.calibration, method=options.method,
        inputs=_names(options.inputs), outputs=_names(options.outputs), host=options.host_policy,
        insert_rounding=options.insert_rounding, allow_code=options.allow_code, **labels(options))
    if options.no_wait:
        return started.serialize()
    finish(started, options.timeout, not options.json)
    result: Model = started.result
    program = Program.load(result.file)
    if options.json:
        return result.serialize() | figures_of_host(program) | {"notes": program.notes, "notices": program.notices}
    print_facts(options, result.serialize())
    for line in [*lines_of_host(program), *(f"note         {note}" for note in notes_alone(program.notes)),
                 *lines_of_notices(program.notices)]:
        print(line)
    return None


def _names(text: str) -> list[str]:
    return text.split(",") if text else []
