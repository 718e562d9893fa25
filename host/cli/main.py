"""Entry point: parses, dispatches, and turns every user error into one message and exit code 2."""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from arrayloom.host.cli.refusal import own_fault, refusal
from arrayloom.isa.errors import ArrayloomError

BAD_INPUT = 2
EXIT_CODES = ("exit codes: 0 done, 1 bytes differ or accesses are unordered, 2 refused or bad input; with --json a refusal "
              "is also a JSON object")
COMMANDS = {
    "demo": ("arrayloom.host.cli.demo", "add_parser"),
    "quantize": ("arrayloom.host.cli.quantize", "add_parser"),
    "compile": ("arrayloom.host.cli.programs", "add_compile"),
    "run": ("arrayloom.host.cli.run", "add_parser"),
    "score": ("arrayloom.host.cli.score", "add_parser"),
    "serve": ("arrayloom.host.cli.serve", "add_parser"),
    "bundle": ("arrayloom.host.cli.bundle", "add_parser"),
    "verify": ("arrayloom.host.cli.verify", "add_parser"),
    "disasm": ("arrayloom.host.cli.programs", "add_disasm"),
    "info": ("arrayloom.host.cli.programs", "add_info"),
    "check": ("arrayloom.host.cli.check", "add_check"),
    "explore": ("arrayloom.host.cli.explore", "add_parser"),
    "profile": ("arrayloom.host.cli.profile", "add_parser"),
    "simulator": ("arrayloom.host.cli.simulator", "add_parser"),
    "verilog": ("arrayloom.host.cli.hardware", "add_verilog"),
    "synth": ("arrayloom.host.cli.hardware", "add_synth"),
    "board": ("arrayloom.host.cli.board", "add_parser"),
    "network": ("arrayloom.host.cli.network", "add_network"),
    "fetch": ("arrayloom.host.cli.network", "add_fetch"),
    "train-head": ("arrayloom.host.cli.train_head", "add_parser"),
    "workspace": ("arrayloom.host.cli.workspace", "add_workspace"),
    "model": ("arrayloom.host.cli.model", "add_model"),
    "convert": ("arrayloom.host.cli.model", "add_convert"),
    "image": ("arrayloom.host.cli.image", "add_parser"),
    "service": ("arrayloom.host.cli.service", "add_parser"),
    "operation": ("arrayloom.host.cli.workspace", "add_operation"),
    "client": ("arrayloom.host.cli.client", "add_parser"),
}
"""Module of each command, and the function in it that adds the command's parser."""


class _Version(argparse.Action):
    """Reads the version only if it is asked for, since looking into the installation takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from arrayloom.host.serving.core.about import VERSION

        print(parser.prog, VERSION)
        parser.exit()


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of the ``chosen`` one only, which avoids importing the others."""
    parser = argparse.ArgumentParser(
        prog="arrayloom",
        description="Convolutional networks on a simulated FPGA accelerator, bit for bit equal to ONNX Runtime.",
        epilog=f"Start with: arrayloom demo. {EXIT_CODES[0].upper()}{EXIT_CODES[1:]}.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [chosen] if chosen in COMMANDS else COMMANDS:
        module, function = COMMANDS[name]
        getattr(import_module(module), function)(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 success, 1 bytes differ or accesses are unordered, 2 bad input or
    environment.

    Every error is one message on standard error, and with ``--json`` also an object on standard output.
    """
    given = sys.argv[1:] if arguments is None else arguments
    options = build_parser(given[0] if given else None).parse_args(given)
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # warnings of libraries; commands report themselves what a user should know
            return int(options.action(options))
    except ArrayloomError as error:
        refusal(error, bool(getattr(options, "json", False)))
    except KeyboardInterrupt:
        print("arrayloom: interrupted; nothing was written", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        refusal(own_fault(error), bool(getattr(options, "json", False)))
    return BAD_INPUT
