"""How many requests a service answers with several replicas, as a ratio to one replica, asked in turns in one run.

Each replica has one thread, and each count of replicas twice as many clients, so that a request always waits for a device.
``python -m benchmarks.replicas --model MODEL.onnx --replicas 2``.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.host.cli.common import add_config
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving import Bundle
from benchmarks import output
from benchmarks.command import SUCCESS, parser_of, run
from benchmarks.serve import Target, measure, served

CLIENTS_EACH = 2
OPTIONS = ["--threads", "1", "--spares", "0"]


def rate(target: Target, replicas: int, requests: int, warm: int) -> float:
    """Requests a second that a service with so many replicas answers."""
    return float(measure(target, "grpc", requests * replicas, CLIENTS_EACH * replicas, warm)["requests_per_second"])


def compare(bundle: Bundle, replicas: int, requests: int, rounds: int) -> dict[str, Any]:
    """The rates of both services by round, and the ratio of each round."""
    with served(bundle, [*OPTIONS, "--replicas", "1"]) as one, \
            served(bundle, [*OPTIONS, "--replicas", str(replicas)]) as several:
        for target, count in ((one, 1), (several, replicas)):
            rate(target, count, requests, requests)     # until all replicas hold the model and have run it
        found = [(rate(one, 1, requests, 0), rate(several, replicas, requests, 0)) for _ in range(rounds)]
    ratios = [second / first for first, second in found]
    return {"replicas": replicas, "one_replica": [first for first, _ in found], "several": [second for _, second in found],
            "ratios": ratios, "ratio": median(ratios)}


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.replicas", __doc__)
    parser.add_argument("--model", type=Path, default=digits.MODEL, metavar="MODEL.onnx", help="default: the digits network")
    parser.add_argument("--replicas", type=int, default=2, metavar="N", help="default 2")
    parser.add_argument("--requests", type=int, default=100, metavar="N", help="a round, for each replica (default 100)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default 5")
    add_config(parser)
    return parser


def _action(options: argparse.Namespace) -> int:
    if min(options.requests, options.rounds) < 1 or options.replicas < 2:
        raise InputError("--requests and --rounds must be at least 1, --replicas at least 2")
    bundle = Bundle.create("model", compile_model(options.model, config=options.config))
    begin = time.monotonic()
    facts = {"model": options.model.name, "config": options.config,
             **compare(bundle, options.replicas, options.requests, options.rounds), "seconds": time.monotonic() - begin}
    if output.deliver(options, facts):
        for first, second, ratio in zip(facts["one_replica"], facts["several"], facts["ratios"], strict=True):
            print(f"1 replica {first:8.1f} requests/s, {options.replicas} replicas {second:8.1f}: {ratio:.2f} times")
        print(f"median: {facts['ratio']:.2f} times")
    return SUCCESS


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
