"""``arrayloom verilog``: the accelerator as Verilog."""

import argparse
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_command, add_config
from arrayloom.isa.config import load_config


def add_parser(commands: Any) -> None:
    parser = add_command(commands, "verilog", _run, "write the accelerator as Verilog with a JSON list of its ports",
                         "arrayloom verilog --config 32x32 -o rtl/")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    add_config(parser)


def _run(options: argparse.Namespace) -> int:
    from arrayloom.host.runtime.export import export_verilog

    for path in export_verilog(load_config(options.config), options.output):
        print(path)
    return 0
