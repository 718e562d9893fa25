"""Shared parts of the benchmarks' command lines."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from arrayloom.host.cli.common import add_config
from arrayloom.isa.errors import ArrayloomError
from benchmarks import output

SUCCESS, OUTSIDE, BAD_INPUT = 0, 1, 2


def parser_of(module: str, description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    output.add_json(parser)
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    """One network, one input, one configuration."""
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="image, .npy or .npz")
    parser.add_argument("--preprocess", metavar="NAME", help="recipe for an image")
    add_config(parser)


def run(parser: argparse.ArgumentParser, action: Callable[[argparse.Namespace], int]) -> int:
    """Runs ``action`` and returns its exit code, or 2 with one message for bad input or environment."""
    options = parser.parse_args()
    try:
        output.check(options)
        return action(options)
    except ArrayloomError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
    return BAD_INPUT
