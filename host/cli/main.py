"""Entry point: parses, dispatches, and turns every user's error into one message and exit code 2."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from arrayloom.host.cli import compile as compile_command
from arrayloom.host.cli import (
    convert,
    demo,
    disasm,
    explore,
    fetch,
    image,
    info,
    model,
    network,
    operation,
    profile,
    quantize,
    run,
    score,
    serve,
    service,
    synth,
    train_head,
    verify,
    verilog,
    workspace,
)
from arrayloom.isa.errors import ArrayloomError

SUCCESS, DIFFERENT, BAD_INPUT = 0, 1, 2
COMMANDS = (demo, quantize, compile_command, run, score, serve, verify, disasm, info, explore, profile, verilog, synth,
            network, fetch, train_head,
            workspace, model, convert, image, service, operation)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="arrayloom",
        description="Convolutional networks on a simulated FPGA accelerator, bit for bit equal to ONNX Runtime.",
        epilog="Start with: arrayloom demo")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
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
