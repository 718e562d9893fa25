"""Entry point: parses, dispatches, and turns every user's error into one message and exit code 2."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from arrayloom.host.cli import (
    demo,
    explore,
    hardware,
    image,
    model,
    network,
    profile,
    programs,
    quantize,
    run,
    score,
    serve,
    service,
    train_head,
    verify,
    workspace,
)
from arrayloom.isa.errors import ArrayloomError

BAD_INPUT = 2
COMMANDS = (
    demo.add_parser, quantize.add_parser, programs.add_compile, run.add_parser, score.add_parser, serve.add_parser,
    verify.add_parser, programs.add_disasm, programs.add_info, explore.add_parser, profile.add_parser, hardware.add_verilog,
    hardware.add_synth, network.add_network, network.add_fetch, train_head.add_parser, workspace.add_workspace,
    model.add_model, model.add_convert, image.add_parser, service.add_parser, workspace.add_operation)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="arrayloom",
        description="Convolutional networks on a simulated FPGA accelerator, bit for bit equal to ONNX Runtime.",
        epilog="Start with: arrayloom demo")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 success, 1 bytes differ, 2 bad input or environment."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.action(options))
    except ArrayloomError as error:
        print(f"arrayloom: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("arrayloom: interrupted; nothing was written", file=sys.stderr)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return BAD_INPUT
