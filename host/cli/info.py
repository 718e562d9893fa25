"""``arrayloom info``: what a program file holds."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command, add_json, print_json
from arrayloom.isa.program import Input, Output, Program


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "info", _run, "say what a program file holds", "arrayloom info digits.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    add_json(parser)


def _run(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    facts = _facts(program)
    if options.json:
        print_json(facts | {"notices": program.notices})
        return 0
    for name, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        if isinstance(value, list):
            text = "; ".join(map(str, value)) or "none"
        print(f"{name.replace('_', ' '):18} {text}")
    return 0


def _facts(program: Program) -> dict[str, Any]:
    kinds = Counter(instruction.mnemonic() for instruction in program)
    return {
        "model": program.model, "config": program.config, "config_digest": program.config_digest,
        "instructions": len(program), "instruction_kinds": dict(kinds.most_common()), "layers": len(program.layers),
        "macs": program.macs, "constant_bytes": len(program.constants), "memory_bytes": program.memory_bytes,
        "inputs": [_port(port) for port in program.inputs], "outputs": [_port(port) for port in program.outputs],
        "features": _port(program.features) if program.features else None, "notes": program.notes,
    }


def _port(port: Input | Output) -> str:
    steps = "" if isinstance(port, Input) else "".join(f" -> {step.tag}" for step in port.tail)
    step = port.quantize if isinstance(port, Input) else None
    quantized = f" quantized by {step.scale:.6g}, {step.zero_point}" if step else ""
    return f"{port.name} [N, {', '.join(map(str, port.shape))}] {port.slot.dtype}{quantized}{steps}"
