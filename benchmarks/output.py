"""Results as JSON, with machine, versions and date, to a file or to standard output."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import require_writable
from arrayloom.host.runtime.errors import InputError
from benchmarks.environment import environment

STDOUT = Path("-")


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json`` alone prints one object, ``--json FILE`` writes it."""
    parser.add_argument("--json", type=Path, nargs="?", const=STDOUT, metavar="FILE",
                        help="JSON with machine, versions and date, to FILE or to standard output")


def check(options: argparse.Namespace) -> None:
    """Raises ``InputError`` before any work if the results cannot be written."""
    if options.json not in (None, STDOUT):
        require_writable(options.json)


def deliver(options: argparse.Namespace, result: dict[str, Any]) -> bool:
    """Writes the result as ``--json`` requests; returns whether text may be printed to standard output."""
    text = json.dumps(environment() | result, indent=2)
    if options.json is None:
        return True
    if options.json == STDOUT:
        print(text)
        return False
    try:
        options.json.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{options.json}: cannot be written: {error.strerror}") from None
    print(f"written {options.json}", file=sys.stderr)
    return True
