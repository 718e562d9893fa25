"""Options and output that several commands share."""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.config import DEFAULT, PRESETS
from arrayloom.isa.program import NOTICE_NOTE


def add_command(commands: Any, name: str, action: Callable[[argparse.Namespace], int], help_text: str,
                example: str) -> argparse.ArgumentParser:
    """A sub-command whose --help ends with an example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", epilog=f"example: {example}")
    parser.set_defaults(action=action)
    return parser


def add_config(parser: argparse._ActionsContainer, default: str | None = DEFAULT) -> None:
    shown = default or f"the program's, or {DEFAULT}"
    parser.add_argument("--config", default=default, metavar="NAME|FILE.toml",
                        help=f"accelerator: {', '.join(PRESETS)}, or a file of your own (default {shown})")


def add_backend(parser: argparse.ArgumentParser, *more: str) -> None:
    parser.add_argument("--backend", default="rtl", choices=("rtl", "emulator", "board", *more),
                        help="what executes (default rtl)")
    parser.add_argument("--board-port", metavar="PORT", help="address of the backend board: /dev/ttyUSB0[@BAUD], "
                        "socket://HOST:PORT, udp://HOST for Etherbone, litex://HOST for a litex_server")


def require_no_board_port(options: argparse.Namespace, why: str) -> None:
    """Raises ``InputError`` with the reason if the options name the port of a board."""
    if options.board_port is not None:
        raise InputError(f"--board-port {options.board_port}: {why}; take --backend board, or leave it out")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")


def print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, indent=2))


def lines_of_notices(notices: Iterable[str]) -> list[str]:
    """Notices to repeat in every output about a model, such as that its weights are random, as lines of text."""
    return [f"notice       {notice}" for notice in notices]


def notes_alone(notes: Iterable[str]) -> list[str]:
    """A model's notes without its notices, for outputs that print the notices separately."""
    return [note for note in notes if not note.startswith(NOTICE_NOTE)]


def lines_of_report(report: RunReport) -> Iterator[str]:
    """The figures of a run as lines of text."""
    if report.cycles is not None:
        yield f"cycles       {report.cycles:,}"
        yield f"utilization  {report.utilization:.1%} of {report.multipliers} multipliers"
        title = "rate" if report.backend == "board" else "simulation"
        yield f"{title:<13}{(report.cycles_per_second or 0) / 1e6:.2f} M cycles/s, " \
              f"{report.macs_per_second / 1e6:,.1f} M multiply-accumulates/s"
    yield f"wall time    {report.wall_seconds:.2f} s for {report.macs:,} multiply-accumulates"


def require_writable(path: Path) -> None:
    """Raises ``InputError`` before any work if ``path`` cannot be written."""
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written: {folder} is not a folder")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise InputError(f"{path}: cannot be written: it is a folder, or permission is denied")
