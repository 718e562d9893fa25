"""``arrayloom compile``: a model to a program file."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.host.cli.common import add_command, add_config, require_writable
from arrayloom.isa.config import load_config


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "compile", _run, "compile an int8 ONNX model to a program",
                         "arrayloom compile resnet18_int8.onnx -o resnet18.loom --config 32x32")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="PROGRAM.loom")
    add_config(parser)


def _run(options: argparse.Namespace) -> int:
    require_writable(options.output)
    program = compile_model(options.model, config=load_config(options.config))
    program.save(options.output)
    print(f"{options.output}: {len(program)} instructions, {len(program.constants):,} bytes of constants, "
          f"{program.macs:,} multiply-accumulates, for {program.config}")
    for note in program.notes:
        print(f"note: {note}")
    return 0
