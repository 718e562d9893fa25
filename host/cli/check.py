"""``arrayloom check``: whether a program's tokens order all conflicting accesses."""

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.host.runtime.report import layers_of
from arrayloom.isa.fields import Instruction
from arrayloom.isa.hazards import Finding, Hazard, HazardCheck
from arrayloom.isa.program import Program

MOST = 1000     # most findings that are searched for
SHOWN = 20      # most findings in the text


def add_check(commands: Any) -> None:
    parser = add_command(commands, "check", _check, "find conflicting accesses of a program that no token orders",
                         "arrayloom check resnet18.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    add_json(parser)


def _check(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    check = HazardCheck(program)
    findings = list(islice(check.findings(), MOST))
    instructions, layers = list(program), layers_of(program)
    described = [_figures(finding, instructions, layers) for finding in findings]
    if options.json:
        print_json({"program": str(options.program), "instructions": len(program), "accesses_checked": check.accessed,
                    "findings": described, "complete": len(findings) < MOST})
        return bool(findings)
    for finding, found in zip(findings[:SHOWN], described, strict=False):
        print(_text(finding, found, program.configuration.size))
    if len(findings) > SHOWN:
        print(f"and {len(findings) - SHOWN}{' or more' if len(findings) == MOST else ''} more: --json lists them")
    if not findings:
        print(f"{options.program}: {len(program):,} instructions, {check.accessed:,} accesses; tokens order every two "
              "accesses of which one is a write")
    return bool(findings)


def _figures(finding: Finding, instructions: list[Instruction], layers: list[str]) -> dict[str, Any]:
    """The findings under their names in ``--json``."""
    figures: dict[str, Any] = {"hazard": finding.hazard.value, "place": finding.place, "word": finding.word,
                               "last_word": finding.last_word, "missing": _missing(finding, instructions)}
    for name, index in (("later", finding.later), ("earlier", finding.earlier)):
        figures[name] = None if index is None else {
            "index": index, "instruction": str(instructions[index]), "layer": layers[index] or None}
    return figures


def _missing(finding: Finding, instructions: list[Instruction]) -> str:
    """The missing token or wait."""
    unit = instructions[finding.later].UNIT
    if finding.earlier is None:
        return f"a {finding.place} instruction that signals {unit.name if unit is not None else ''}"
    if finding.hazard is Hazard.CIRCLE:
        return "an order in which both can begin"
    other = instructions[finding.earlier].UNIT
    if other is unit:
        return "a wait for the unit's own earlier instructions"
    return f"a token of {other.name if other is not None else ''}, directly or through another unit"


def _text(finding: Finding, found: dict[str, Any], word_bytes: int) -> str:
    later, missing = _instruction(found["later"]), f"  missing: {found['missing']}"
    if finding.earlier is None:
        return f"{later}\n  {finding.hazard}: of {finding.place}\n{missing}"
    place = "" if finding.word is None else f" at {_range(finding, word_bytes)}: does not wait for"
    return f"{later}\n  {finding.hazard}{place}\n  {_instruction(found['earlier'])}\n{missing}"


def _range(finding: Finding, word_bytes: int) -> str:
    """The first and last scratchpad word, or byte of memory from its base, that both access."""
    first, last, name = finding.word or 0, finding.last_word or 0, "word"
    if finding.place == "memory":
        first, last, name = first * word_bytes, (last + 1) * word_bytes - 1, "byte"
    return f"{name} {first} of the {finding.place}" if first == last else f"{name}s {first} to {last} of the {finding.place}"


def _instruction(one: dict[str, Any]) -> str:
    layer = f" of layer {one['layer']!r}" if one["layer"] else ""
    return f"instruction {one['index']}{layer}: {one['instruction']}"
