"""What the commands on workspaces share: finding the workspace, references, labels, and lists as tables."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.runtime.boundary import InputError
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.names import parse_reference
from arrayloom.host.workspace.workspace import Workspace

PIPE_COLUMNS = 1000
Kind = TypeVar("Kind", bound=Artifact)


def add_group(commands: Any, name: str, help_text: str) -> Any:
    """A command that has commands of its own."""
    parser = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    return parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")


def add_verb(group: Any, name: str, action: Callable[[argparse.Namespace], int], help_text: str,
             example: str) -> argparse.ArgumentParser:
    """One of a group's commands, with ``--workspace`` and ``--json``."""
    parser = add_command(group, name, action, help_text, example)
    parser.add_argument("--workspace", type=Path, metavar="DIR",
                        help="the workspace (default: the one that the current folder is in, or configured for)")
    add_json(parser)
    return parser


def open_workspace(options: argparse.Namespace) -> Workspace:
    return Workspace(options.workspace) if options.workspace else Workspace.from_config()


def find(kind: type[Kind], workspace: Workspace, reference: str) -> Kind:
    """The model, image or service that ``NAME`` or ``NAME:VERSION`` names."""
    return kind(workspace, *parse_reference(reference, kind.KIND))


def add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="may be given several times")
    parser.add_argument("--property", action="append", default=[], metavar="KEY=VALUE", help="a label that never changes")
    parser.add_argument("--description", metavar="TEXT")


def labels(given: Iterable[str], option: str) -> dict[str, str]:
    """``KEY=VALUE`` texts as a dictionary."""
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {text!r}: must be KEY=VALUE")
        found[key] = value
    return found


def add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="only those of that name")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY[=VALUE]", help="only those with that tag")
    parser.add_argument("--latest", action="store_true", help="only the latest version of each name")


def filtered(kind: type[Kind], options: argparse.Namespace) -> list[Kind]:
    """What the filters of ``add_filters`` leave, newest first."""
    tags = [text.split("=", 1) if "=" in text else text for text in options.tag]
    return kind.list(open_workspace(options), options.name, tags, latest=options.latest)


def print_list(options: argparse.Namespace, name: str, artifacts: Sequence[Artifact], columns: Mapping[str, str]) -> int:
    """A table, or with ``--json`` one object with the list under ``name``; ``columns``: title by serialized field."""
    rows = [artifact.serialize() for artifact in artifacts]
    if options.json:
        print_json({name: rows})
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in columns.values():
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(shown(row[field]) for field in columns))
    # Whoever reads from a pipe wants whole lines.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table if rows else f"no {name}")
    return 0


def print_one(options: argparse.Namespace, facts: Mapping[str, Any]) -> int:
    """One entry as lines, or with ``--json`` as an object."""
    if options.json:
        print_json(dict(facts))
        return 0
    for name, value in facts.items():
        if value not in (None, "", {}, [], ()):
            print(f"{name.replace('_', ' '):16} {shown(value)}")
    return 0


def shown(value: Any) -> str:
    """A serialized value for people."""
    if isinstance(value, dict):
        return shown(value["reference"]) if "reference" in value else ", ".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9999 else str(value)


def add_deletion(group: Any, kind: type[Artifact]) -> None:
    """``delete``, which is the same for all kinds."""
    name = kind.KIND
    parser = add_verb(group, "delete", lambda options: _delete(options, kind), f"delete a {name} that nothing depends on",
                      f"arrayloom {name} delete digits:1 --cascade")
    parser.add_argument("reference", metavar="NAME[:VERSION]", help="the latest version where none is given")
    parser.add_argument("--cascade", action="store_true", help="delete all that was made from it as well, in order")


def _delete(options: argparse.Namespace, kind: type[Artifact]) -> int:
    deleted = find(kind, open_workspace(options), options.reference).delete(options.cascade)
    if options.json:
        print_json({"deleted": list(deleted)})
    else:
        print("\n".join(f"deleted {reference}" for reference in deleted))
    return 0
