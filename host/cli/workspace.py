"""``arrayloom workspace`` and ``operation``: the workspace folder, and the conversions and image builds that run in it."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.artifact_commands import ArtifactCommands, Facts, add_group, add_verb, print_facts
from arrayloom.host.cli.common import add_command, add_json
from arrayloom.host.workspace import Workspace
from arrayloom.host.workspace.operation import Operation


def add_workspace(commands: Any) -> None:
    group = add_group(commands, "workspace", "create or show the folder that holds models, images and services")
    create = add_command(group, "create", _create, "create a workspace in a new or empty folder",
                         "arrayloom workspace create ~/arrayloom --use")
    create.add_argument("folder", type=Path, metavar="DIR")
    create.add_argument("--name", metavar="NAME", help="default: the folder's name")
    create.add_argument("--use", action="store_true", help="make it the default for commands in the current folder and its "
                                                           "subfolders")
    create.add_argument("--exist-ok", action="store_true", help="reuse an existing one")
    add_json(create)
    add_verb(group, "show", lambda workspace, _: workspace.get_details(), "show the content of the workspace",
             "arrayloom workspace show")


def _create(options: argparse.Namespace) -> int:
    workspace = Workspace.create(options.folder, options.name, options.exist_ok)
    used = str(workspace.write_config()) if options.use else None
    print_facts(options, {"name": workspace.name, "location": str(workspace.path), "config": used})
    return 0


def add_operation(commands: Any) -> None:
    group = ArtifactCommands(commands, Operation, "list, show, cancel or delete conversions and image builds",
                             "NAME[:NUMBER]")
    group.add_list({"id": "operation", "state": "state", "created": "created", "parents": "from", "result": "result"},
                   filters=False)
    group.add_for_one("show", _show, "show an operation's state and log", "convert:3")
    group.add_for_one("cancel", _cancel, "stop an operation", "convert:3")
    group.add_delete()


def _show(operation: Operation, options: argparse.Namespace) -> Facts:
    facts = operation.serialize()
    if options.json:
        return facts | {"log": operation.log}
    print_facts(options, facts)
    print(operation.log, end="")
    return None


def _cancel(operation: Operation, _: argparse.Namespace) -> Facts:
    operation.cancel()
    return operation.serialize()
