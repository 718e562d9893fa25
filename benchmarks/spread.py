"""Scores images on the RTL in one process and in several, alternately: seconds from start to end, and their ratio.

Exit code 1 if the results are not the same.
"""

import argparse
import sys
from pathlib import Path

from arrayloom.host.cli.common import add_config
from benchmarks.command import parser_of, run
from benchmarks.turns import add_rounds, compare

OF_TIME = ("wall_seconds", "cycles_per_second", "macs_per_second", "tasks")


def main() -> int:
    parser = parser_of("benchmarks.spread", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("images", type=Path, nargs="+", metavar="FOLDER", help="folders of images, and images")
    parser.add_argument("--preprocess", required=True, metavar="NAME", help="recipe for the images")
    add_config(parser)
    add_rounds(parser)
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    command = ["score", options.model, *options.images, "--preprocess", options.preprocess, "--config", options.config]
    commands = {count: [*command, "--workers", count] for count in (1, options.workers)}
    return compare(options, commands, OF_TIME,
                   lambda result: {"images": len(result["images"]), "cycles": result["cycles"]})


if __name__ == "__main__":
    sys.exit(main())
