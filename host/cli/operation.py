"""``arrayloom operation``: conversions and image builds, running or ended."""

import argparse
from typing import Any

from arrayloom.host.cli.registry import add_deletion, add_group, add_verb, find, open_workspace, print_list, print_one
from arrayloom.host.workspace.operation import Operation


def add_parser(commands: Any) -> None:
    group = add_group(commands, "operation", "list, show, cancel or delete conversions and image builds")
    add_verb(group, "list", _list, "list operations", "arrayloom operation list")
    show = add_verb(group, "show", _show, "say how an operation stands, with its log", "arrayloom operation show convert:3")
    show.add_argument("reference", metavar="NAME[:NUMBER]")
    cancel = add_verb(group, "cancel", _cancel, "stop an operation", "arrayloom operation cancel convert:3")
    cancel.add_argument("reference", metavar="NAME[:NUMBER]")
    add_deletion(group, Operation)


def _list(options: argparse.Namespace) -> int:
    return print_list(options, "operations", Operation.list(open_workspace(options)), {
        "id": "operation", "state": "state", "created": "created", "parents": "from", "result": "result"})


def _show(options: argparse.Namespace) -> int:
    operation = find(Operation, open_workspace(options), options.reference)
    facts = operation.serialize()
    if options.json:
        return print_one(options, facts | {"log": operation.log})
    print_one(options, facts)
    print(operation.log, end="")
    return 0


def _cancel(options: argparse.Namespace) -> int:
    operation = find(Operation, open_workspace(options), options.reference)
    operation.cancel()
    return print_one(options, operation.serialize())
