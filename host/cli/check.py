"""``arrayloom check``: whether the tokens of a program order everything that must be in order."""

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.runtime.report import layers_of
from arrayloom.isa.hazards import Finding, find_hazards
from arrayloom.isa.program import Program

MOST = 1000     # findings that are looked for
SHOWN = 20      # of them in the text


def add_check(commands: Any) -> None:
    parser = add_command(commands, "check", _check, "find accesses of a program that no token orders",
                         "arrayloom check resnet18.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    add_json(parser)


def _check(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    findings = list(islice(find_hazards(program), MOST))
    described = [_figures(program, finding) for finding in findings]
    if options.json:
        print_json({"program": str(options.program), "instructions": len(program), "findings": described,
                    "complete": len(findings) < MOST})
        return bool(findings)
    for found in described[:SHOWN]:
        print(_text(found))
    if len(findings) > SHOWN:
        print(f"and {len(findings) - SHOWN}{' or more' if len(findings) == MOST else ''} more: --json lists them")
    if not findings:
        print(f"{options.program}: {len(program):,} instructions; tokens order every two accesses of which one is a write")
    return bool(findings)


def _figures(program: Program, finding: Finding) -> dict[str, Any]:
    """Under the names that ``--json`` gives them."""
    figures: dict[str, Any] = {"hazard": finding.hazard.value, "place": finding.place, "word": finding.word}
    layers, instructions = layers_of(program), list(program)
    for name, index in (("later", finding.later), ("earlier", finding.earlier)):
        figures[name] = None if index is None else {
            "index": index, "instruction": str(instructions[index]), "layer": layers[index] or None}
    return figures


def _text(found: dict[str, Any]) -> str:
    later, earlier = (_instruction(found[name]) for name in ("later", "earlier"))
    if found["earlier"] is None:
        return f"{later}\n  {found['hazard']}: of {found['place']}"
    return f"{later}\n  {found['hazard']} at word {found['word']} of the {found['place']}: does not wait for\n  {earlier}"


def _instruction(one: dict[str, Any] | None) -> str:
    if one is None:
        return ""
    layer = f" of layer {one['layer']!r}" if one["layer"] else ""
    return f"instruction {one['index']}{layer}: {one['instruction']}"
