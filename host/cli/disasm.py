"""``arrayloom disasm``: a program's instructions as text."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command
from arrayloom.isa.program import Program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "disasm", _run, "print a program's instructions as text", "arrayloom disasm digits.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")


def _run(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    starts: dict[int, list[str]] = {}
    for layer in program.layers:
        starts.setdefault(layer.first, []).append(f"{layer.operator} {layer.name}")
    for index, instruction in enumerate(program):
        for title in starts.get(index, []):
            print(f"; {title}")
        print(f"{index:6} {instruction}")
    return 0
