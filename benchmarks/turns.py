"""Runs equivalent Arrayloom commands alternately: seconds of each from start to end, and whether their output is the
same."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from arrayloom.host.runtime.errors import InputError
from benchmarks.command import OUTSIDE, SUCCESS
from benchmarks.output import deliver

Commands = dict[int, list[Any]]


def add_rounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="processes of the second kind of run (default: one per processor)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each kind (default %(default)s)")


def compare(options: argparse.Namespace, commands: Commands, of_time: Sequence[str],
            figures: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Runs both commands ``options.rounds`` times; prints times and ratio, with ``figures`` of a result. Returns the exit
    code.

    ``commands``: command lines by number of processes; ``of_time``: keys of their results that may differ.
    """
    seconds: dict[int, list[float]] = {count: [] for count in commands}
    results: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    for _ in range(options.rounds):
        for count, command in commands.items():
            begin = time.perf_counter()
            result = _result([*command, "--json"])
            seconds[count].append(time.perf_counter() - begin)
            results.append({key: value for key, value in result.items() if key not in of_time})
    one, several = (min(found) for found in seconds.values())
    same = all(result == results[0] for result in results)
    values = {"config": options.config, **figures(results[0]),
              "seconds": {str(count): found for count, found in seconds.items()},
              "ratio": one / several, "load_before": before, "same": same}
    if deliver(options, values):
        for count, found in seconds.items():
            print(f"{count} process{'es' * (count > 1)}: {', '.join(f'{value:.2f}' for value in found)} s")
        print(f"the fastest of each: {one / several:.2f} times as fast; load before: {before:.2f}")
        print("results are the same" if same else "RESULTS DIFFER")
    return SUCCESS if same else OUTSIDE


def _result(command: list[Any]) -> dict[str, Any]:
    """The output of a separate process."""
    done = subprocess.run([sys.executable, "-m", "arrayloom", *map(str, command)], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise InputError(f"arrayloom {' '.join(map(str, command))}: ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
