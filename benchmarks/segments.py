"""Verifies one image in one process and in segments over several, alternately: seconds from start to end, and their ratio.

Both compare every tensor with ONNX Runtime. Exit code 1 if the results, including cycles, are not the same.
"""

import argparse
import sys

from benchmarks.command import add_network, parser_of, run
from benchmarks.turns import add_rounds, compare

OF_TIME = ("wall_seconds", "cycles_per_second", "macs_per_second", "cycles_exact", "segments")
KEYS = ("cycles", "bytes_compared", "bytes_differing")


def main() -> int:
    parser = parser_of("benchmarks.segments", __doc__)
    add_network(parser)
    add_rounds(parser)
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    command = ["verify", options.model, "--input", options.input, "--config", options.config]
    if options.preprocess:
        command += ["--preprocess", options.preprocess]
    return compare(options, {1: command, options.workers: [*command, "--workers", options.workers]}, OF_TIME,
                   lambda result: {key: result[key] for key in KEYS})


if __name__ == "__main__":
    sys.exit(main())
