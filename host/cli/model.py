"""``arrayloom model``: the models of a workspace."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.registry import ArtifactCommands, Facts, add_labels, labels
from arrayloom.host.workspace import Model, Workspace


def add_parser(commands: Any) -> None:
    group = ArtifactCommands(commands, Model, "register, list, show, download or delete the models of a workspace")
    register = group.add("register", _register, "copy a model into the workspace under the next version",
                         "resnet50.onnx --name resnet50 --tag stage=test")
    register.add_argument("file", type=Path, metavar="MODEL",
                          help=".onnx, .loom, .pt2 or the folder of a TensorFlow SavedModel")
    register.add_argument("--name", required=True, metavar="NAME")
    add_labels(register)
    group.add_list({"id": "model", "framework": "framework", "bytes": "bytes", "created": "created", "tags": "tags",
                    "parents": "from"}, "--tag stage=test")
    group.add_for_one("show", lambda model, _: model.serialize() | {"dependents": list(model.dependents())},
                      "say all of a model", "resnet50:2")
    download = group.add_for_one("download", lambda model, options: {"path": str(model.download(options.output))},
                                 "copy a model out of the workspace", "resnet50")
    download.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    group.add_delete()


def _register(workspace: Workspace, options: argparse.Namespace) -> Facts:
    return Model.register(workspace, options.file, options.name, **labels(options)).serialize()
