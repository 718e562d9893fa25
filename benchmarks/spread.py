"""Images scored on the RTL by one process and by several, in turns: seconds from start to end, and their ratio.

Exit code 1 when the results are not the same.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from arrayloom.host.cli.common import add_config
from arrayloom.host.runtime.errors import InputError
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver

OF_TIME = ("wall_seconds", "cycles_per_second", "macs_per_second", "tasks")


def main() -> int:
    parser = parser_of("benchmarks.spread", __doc__)
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("images", type=Path, nargs="+", metavar="FOLDER", help="folders of images, and images")
    parser.add_argument("--preprocess", required=True, metavar="NAME", help="recipe for the images")
    add_config(parser)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes of the second kind of run (default: one a processor)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each kind (default %(default)s)")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    command = ["score", options.model, *options.images, "--preprocess", options.preprocess, "--config", options.config,
               "--json"]
    seconds: dict[int, list[float]] = {1: [], options.workers: []}
    results: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    for _ in range(options.rounds):
        for workers, found in seconds.items():
            begin = time.perf_counter()
            results.append(_scored([*command, "--workers", str(workers)]))
            found.append(time.perf_counter() - begin)
    one, several = (min(found) for found in seconds.values())
    same = all(result == results[0] for result in results)
    if deliver(options, {"config": options.config, "images": len(results[0]["images"]), "cycles": results[0]["cycles"],
                         "seconds": {str(workers): found for workers, found in seconds.items()}, "ratio": one / several,
                         "load_before": before, "same": same}):
        for workers, found in seconds.items():
            print(f"{workers} process{'es' * (workers > 1)}: {', '.join(f'{value:.2f}' for value in found)} s")
        print(f"the fastest of each: {one / several:.2f} times as fast; load before: {before:.2f}")
        print("results are the same" if same else "RESULTS DIFFER")
    return SUCCESS if same else OUTSIDE


def _scored(command: list[Any]) -> dict[str, Any]:
    """What a process of its own prints, without what depends on time."""
    done = subprocess.run([sys.executable, "-m", "arrayloom", *map(str, command)], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise InputError(f"arrayloom {' '.join(map(str, command))}: ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return {name: value for name, value in result.items() if name not in OF_TIME}


if __name__ == "__main__":
    sys.exit(main())
