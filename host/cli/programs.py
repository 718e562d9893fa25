"""``arrayloom compile``, ``disasm`` and ``info``: create and show program files."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost.model import predict
from arrayloom.host.cli.common import (
    add_command,
    add_config,
    add_json,
    lines_of_notices,
    notes_alone,
    print_json,
    require_writable,
)
from arrayloom.host.cli.import_options import add_import_options, import_options
from arrayloom.host.runtime.boundary import wanted_shape
from arrayloom.host.runtime.host_report import figures_of_host, lines_of_host
from arrayloom.isa.config import load_config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.ports import Input, Output
from arrayloom.isa.program import Program


def add_compile(commands: Any) -> None:
    parser = add_command(commands, "compile", _compile, "compile an int8 ONNX model to a program",
                         "arrayloom compile resnet18_int8.onnx -o resnet18.loom --config 32x32")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PROGRAM.loom")
    add_config(parser)
    add_import_options(parser)
    add_json(parser)


def _compile(options: argparse.Namespace) -> int:
    require_writable(options.output)
    config = load_config(options.config)
    program = compile_model(options.model, config, import_options(options))
    program.save(options.output)
    if options.json:
        predicted = predict(program, config)
        print_json({"output": str(options.output)} | _facts(program) | figures_of_host(program) | {
            "notices": program.notices, "predicted_cycles": predicted.cycles,
            "predicted_utilization": predicted.utilization})
        return 0
    print(f"{options.output}: {len(program)} instructions, {len(program.constants):,} bytes of constants, "
          f"{program.macs:,} multiply-accumulates, for {program.config}")
    for line in [*lines_of_host(program), *(f"note         {note}" for note in notes_alone(program.notes)),
                 *lines_of_notices(program.notices)]:
        print(line)
    return 0


def add_disasm(commands: Any) -> None:
    parser = add_command(commands, "disasm", _disasm, "print a program's instructions as text",
                         "arrayloom disasm digits.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    add_json(parser)


def _disasm(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    if options.json:
        print_json({"program": str(options.program), "instructions": [
            {"index": index, "mnemonic": instruction.mnemonic(), "fields": _fields(instruction)}
            for index, instruction in enumerate(program)],
            "layers": [{"name": layer.name, "op": layer.operator, "first": layer.first, "last": layer.last}
                       for layer in program.layers]})
        return 0
    starts: dict[int, list[str]] = {}
    for layer in program.layers:
        starts.setdefault(layer.first, []).append(f"{layer.operator} {layer.name}")
    for index, instruction in enumerate(program):
        for title in starts.get(index, []):
            print(f"; {title}")
        print(f"{index:6} {instruction}")
    return 0


def _fields(instruction: Instruction) -> dict[str, int]:
    """All fields after the opcode by name, as integers; ``wait`` and ``signal`` are masks of units."""
    return {spec.name: int(getattr(instruction, spec.name)) for spec in instruction.specs()[1:]}


def add_info(commands: Any) -> None:
    parser = add_command(commands, "info", _info, "show the content of a program file", "arrayloom info digits.loom")
    parser.add_argument("program", type=Path, metavar="PROGRAM.loom")
    add_json(parser)


def _info(options: argparse.Namespace) -> int:
    program = Program.load(options.program)
    facts = _facts(program)
    if options.json:
        print_json(facts | figures_of_host(program) | {"notices": program.notices})
        return 0
    facts["notes"] = notes_alone(program.notes)
    for name, value in facts.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        if isinstance(value, list) or value is None:
            text = "; ".join(map(str, value or [])) or "none"
        print(f"{name.replace('_', ' '):18} {text}")
    for line in [*lines_of_host(program), *lines_of_notices(program.notices)]:
        name, text = line.split(maxsplit=1)
        print(f"{name:18} {text}")
    return 0


def _facts(program: Program) -> dict[str, Any]:
    kinds = Counter(instruction.mnemonic() for instruction in program)
    return {
        "model": program.model, "config": program.config, "config_digest": program.config_digest,
        "instructions": len(program), "instruction_kinds": dict(kinds.most_common()), "layers": len(program.layers),
        "macs": program.macs, "constant_bytes": len(program.constants), "memory_bytes": program.memory_bytes,
        "model_inputs": [_model_port(port) for port in program.model_inputs],
        "model_outputs": [_model_port(port) for port in program.model_outputs],
        "inputs": [_port(port) for port in program.inputs], "outputs": [_port(port) for port in program.outputs],
        "features": _port(program.features) if program.features else None, "notes": program.notes,
    }


def _model_port(port: ModelPort) -> str:
    return f"{port.name} {wanted_shape(port.shape)} {port.dtype}"


def _port(port: Input | Output) -> str:
    steps = "".join(f" -> {step.tag}" for step in (port.moves if isinstance(port, Input) else port.tail))
    step = port.quantize if isinstance(port, Input) else None
    quantized = f" quantized by {step.scale:.6g}, {step.zero_point}" if step else ""
    return f"{port.name} {wanted_shape(port.shape)} {port.slot.dtype}{quantized}{steps}"
