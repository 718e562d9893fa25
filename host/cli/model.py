"""``arrayloom model``: the models of a workspace."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.registry import (
    add_deletion,
    add_filters,
    add_group,
    add_labels,
    add_verb,
    filtered,
    find,
    labels,
    open_workspace,
    print_list,
    print_one,
)
from arrayloom.host.workspace.model import Model


def add_parser(commands: Any) -> None:
    group = add_group(commands, "model", "register, list, show, download or delete the models of a workspace")
    register = add_verb(group, "register", _register, "copy a model into the workspace under the next version",
                        "arrayloom model register resnet50.onnx --name resnet50 --tag stage=test")
    register.add_argument("file", type=Path, metavar="MODEL",
                          help=".onnx, .loom, .pt2 or the folder of a TensorFlow SavedModel")
    register.add_argument("--name", required=True, metavar="NAME")
    add_labels(register)
    add_filters(add_verb(group, "list", _list, "list models", "arrayloom model list --tag stage=test"))
    show = add_verb(group, "show", _show, "say all of a model", "arrayloom model show resnet50:2")
    show.add_argument("reference", metavar="NAME[:VERSION]")
    download = add_verb(group, "download", _download, "copy a model out of the workspace",
                        "arrayloom model download resnet50")
    download.add_argument("reference", metavar="NAME[:VERSION]")
    download.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    add_deletion(group, Model)


def _register(options: argparse.Namespace) -> int:
    model = Model.register(open_workspace(options), options.file, options.name, labels(options.tag, "--tag"),
                           options.description, labels(options.property, "--property"))
    return print_one(options, model.serialize())


def _list(options: argparse.Namespace) -> int:
    return print_list(options, "models", filtered(Model, options), {
        "id": "model", "framework": "framework", "bytes": "bytes", "created": "created", "tags": "tags", "parents": "from"})


def _show(options: argparse.Namespace) -> int:
    model = find(Model, open_workspace(options), options.reference)
    return print_one(options, model.serialize() | {"dependents": list(model.dependents())})


def _download(options: argparse.Namespace) -> int:
    path = find(Model, open_workspace(options), options.reference).download(options.output)
    return print_one(options, {"path": str(path)})
