"""``arrayloom operation``: conversions and image builds, running or ended."""

import argparse
from typing import Any

from arrayloom.host.cli.registry import ArtifactCommands, Facts, print_facts
from arrayloom.host.workspace.operation import Operation


def add_parser(commands: Any) -> None:
    group = ArtifactCommands(commands, Operation, "list, show, cancel or delete conversions and image builds",
                             "NAME[:NUMBER]")
    group.add_list({"id": "operation", "state": "state", "created": "created", "parents": "from", "result": "result"},
                   filters=False)
    group.add_for_one("show", _show, "say how an operation stands, with its log", "convert:3")
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
