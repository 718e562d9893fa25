"""Shared by the commands on workspaces: finding the workspace and its artifacts, labels, and output as lines or tables.

A command's action takes the workspace, or the artifact named on the command line, and returns the output.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from arrayloom.compiler.errors import Unsupported
from arrayloom.host.cli.bar import progress_bar, step_progress
from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.workspace.artifact import Artifact
from arrayloom.host.workspace.entries import parse_reference
from arrayloom.host.workspace.errors import OperationError
from arrayloom.host.workspace.operation import Operation
from arrayloom.host.workspace.registry import Registry
from arrayloom.host.workspace.workspace import Workspace

PIPE_COLUMNS = 1000
Kind = TypeVar("Kind", bound=Artifact)
Facts = Mapping[str, Any] | None
"""An action's output; None if it has already printed it."""
Action = Callable[[Workspace, argparse.Namespace], Facts]


def add_group(commands: Any, name: str, help_text: str) -> Any:
    """A command with sub-commands."""
    parser = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
    return parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")


def add_verb(group: Any, name: str, action: Action, help_text: str, example: str) -> argparse.ArgumentParser:
    """A command on a workspace, with ``--workspace`` and ``--json``."""
    def run(options: argparse.Namespace) -> int:
        if (facts := action(open_workspace(options), options)) is not None:
            print_facts(options, facts)
        return 0

    parser = add_command(group, name, run, help_text, example)
    parser.add_argument("--workspace", type=Path, metavar="DIR",
                        help="the workspace (default: the one that contains the current folder, or that it is configured "
                             "for)")
    add_json(parser)
    return parser


class ArtifactCommands(Generic[Kind]):
    """The commands on one kind of artifact, such as ``arrayloom model``.

    ``list`` and ``delete`` are the same for all kinds; ``reference`` is the metavar of an artifact's name.
    """

    def __init__(self, commands: Any, kind: type[Kind], help_text: str, reference: str = "NAME[:VERSION]") -> None:
        self._kind, self._reference = kind, reference
        self._group = add_group(commands, kind.KIND, help_text)

    def add(self, name: str, action: Action, help_text: str, example: str) -> argparse.ArgumentParser:
        """A command on the workspace."""
        return add_verb(self._group, name, action, help_text, f"arrayloom {self._kind.KIND} {name} {example}")

    def add_for_one(self, name: str, action: Callable[[Kind, argparse.Namespace], Facts], help_text: str,
                    example: str) -> argparse.ArgumentParser:
        """A command on the artifact named by its first argument."""
        parser = self.add(name, lambda workspace, options: action(find(self._kind, workspace, options.reference), options),
                          help_text, example)
        parser.add_argument("reference", metavar=self._reference)
        return parser

    def add_list(self, columns: Mapping[str, str], example: str = "", filters: bool = True) -> None:
        """``list``; ``columns``: title by serialized field."""
        plural = f"{self._kind.KIND}s"

        def run(workspace: Workspace, options: argparse.Namespace) -> None:
            chosen = _filters(options) if filters else {}
            print_table(options, plural, [found.serialize() for found in self._kind.list(workspace, **chosen)], columns)

        parser = add_verb(self._group, "list", run, f"list {plural}", f"arrayloom {self._kind.KIND} list {example}".strip())
        if filters:
            parser.add_argument("--name", metavar="NAME", help="only artifacts of that name")
            parser.add_argument("--tag", action="append", default=[], metavar="KEY[=VALUE]", help="only artifacts with "
                                                                                                  "that tag")
            parser.add_argument("--latest", action="store_true", help="only the latest version of each name")

    def add_delete(self) -> None:
        parser = self.add("delete", self._delete, f"delete {_with_article(self._kind.KIND)} that nothing depends on",
                          "digits:1 --cascade")
        parser.add_argument("reference", metavar="NAME[:VERSION]", help="default: the latest version")
        parser.add_argument("--cascade", action="store_true", help="also delete everything made from it, in order")

    def _delete(self, workspace: Workspace, options: argparse.Namespace) -> None:
        found = find(self._kind, workspace, options.reference)
        with progress_bar(f"deleting {options.reference}", options.json, "artifacts") as progress:
            deleted = found.delete(options.cascade, progress)
        if options.json:
            print_json({"deleted": list(deleted)})
        else:
            print("\n".join(f"deleted {reference}" for reference in deleted))


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def open_workspace(options: argparse.Namespace) -> Workspace:
    """The workspace named by ``--workspace``, or the one that contains the current folder or that it is configured for."""
    return Workspace(options.workspace) if options.workspace else Workspace.from_config()


def find(kind: type[Kind], workspace: Registry, reference: str) -> Kind:
    """The model, image, service or operation called ``NAME`` or ``NAME:VERSION``."""
    return kind(workspace, *parse_reference(reference, kind.KIND))


def finish(started: Operation, timeout: float | None, show: bool) -> None:
    """Waits for an operation; raises ``OperationError`` if it fails. An interruption cancels it."""
    try:
        with step_progress(not show, "steps") as progress:
            done = started.wait_for_completion(show and sys.stdout.isatty(), timeout, progress)
    except KeyboardInterrupt:
        started.cancel()
        raise
    if not done:
        raise OperationError(f"{started.entry.reference} is {started.status}: {started.error}",
                             [Unsupported(**node) for node in started.unsupported])


def add_labels(parser: argparse.ArgumentParser) -> None:
    """Adds the options that ``labels`` reads."""
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="may be given several times")
    parser.add_argument("--property", action="append", default=[], metavar="KEY=VALUE", help="a label that never changes")
    parser.add_argument("--description", metavar="TEXT")


def labels(options: argparse.Namespace) -> dict[str, Any]:
    """The options of ``add_labels`` as arguments ``tags``, ``properties`` and ``description``."""
    return {"tags": _pairs(options.tag, "--tag"), "properties": _pairs(options.property, "--property"),
            "description": options.description}


def _pairs(given: Iterable[str], option: str) -> dict[str, str]:
    found = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError(f"{option} {text!r}: must be KEY=VALUE")
        found[key] = value
    return found


def _filters(options: argparse.Namespace) -> dict[str, Any]:
    tags = [text.split("=", 1) if "=" in text else text for text in options.tag]
    return {"name": options.name, "tags": tags, "latest": options.latest}


def print_table(options: argparse.Namespace, name: str, rows: list[dict[str, Any]], columns: Mapping[str, str]) -> None:
    """A table, or with ``--json`` one object with the list under ``name``; ``columns``: title by field."""
    if options.json:
        print_json({name: rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in columns.values():
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row[field]) for field in columns))
    # programs that read from a pipe need whole lines
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table if rows else f"no {name}")


def print_facts(options: argparse.Namespace, facts: Mapping[str, Any]) -> None:
    """Facts as lines, or with ``--json`` as an object."""
    if options.json:
        print_json(dict(facts))
        return
    for name, value in facts.items():
        if value not in (None, "", {}, [], ()):
            print(f"{name.replace('_', ' '):16} {_shown(value)}")


def _shown(value: Any) -> str:
    """A serialized value in readable form."""
    if isinstance(value, dict):
        return _shown(value["reference"]) if "reference" in value else ", ".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9999 else str(value)
