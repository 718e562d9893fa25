"""How many requests a service answers with several replicas, as a ratio to one replica, asked in turns in one run.

Each replica has one thread, and there is a client for each. Clients send tensors, or with ``--image`` the file, which a
replica then decodes: ``python -m benchmarks.replicas --model MODEL.onnx --image PHOTO.jpg --replicas 2``.
"""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from arrayloom.compiler import compile_model
from arrayloom.host.cli.common import add_config
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.client import PredictionClient
from benchmarks import output
from benchmarks.command import SUCCESS, parser_of, run
from benchmarks.serve import Target, served

OPTIONS = ["--threads", "1", "--spares", "0"]
Ask = Callable[[PredictionClient], object]


def rate(target: Target, replicas: int, requests: int, ask: Ask) -> float:
    """Requests a second that a service with so many replicas answers to as many clients."""
    def loop() -> None:
        with PredictionClient("127.0.0.1", target.port) as client:
            for _ in range(requests):
                ask(client)

    begin = time.perf_counter()
    with ThreadPoolExecutor(replicas) as pool:
        for done in [pool.submit(loop) for _ in range(replicas)]:
            done.result()
    return requests * replicas / (time.perf_counter() - begin)


def compare(bundle: Bundle, ask: Ask, replicas: int, requests: int, rounds: int) -> dict[str, Any]:
    """The rates of both services by round, and the ratio of each round."""
    with served(bundle, [*OPTIONS, "--replicas", "1"]) as one, \
            served(bundle, [*OPTIONS, "--replicas", str(replicas)]) as several:
        for target, count in ((one, 1), (several, replicas)):
            rate(target, count, requests, ask)     # until all replicas hold the model and have run it
        found = [(rate(one, 1, requests, ask), rate(several, replicas, requests, ask)) for _ in range(rounds)]
    ratios = [second / first for first, second in found]
    return {"replicas": replicas, "one_replica": [first for first, _ in found], "several": [second for _, second in found],
            "ratios": ratios, "ratio": median(ratios)}


def _asking(bundle: Bundle, image: Path | None) -> Ask:
    if image is not None:
        return lambda client: client.score_file(image)
    port = bundle.program.model_inputs[0]
    tensor = np.random.default_rng(0).random((1, *port.shape), np.float32)
    return lambda client: client.score_numpy_arrays({port.name: tensor}, bundle.program.model_outputs[0].name)


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.replicas", __doc__)
    parser.add_argument("--model", type=Path, default=digits.MODEL, metavar="MODEL.onnx", help="default: the digits network")
    parser.add_argument("--image", type=Path, metavar="FILE", help="a photograph for a network that takes ImageNet's")
    parser.add_argument("--replicas", type=int, default=2, metavar="N", help="default 2")
    parser.add_argument("--requests", type=int, default=100, metavar="N", help="a round, for each replica (default 100)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default 5")
    add_config(parser)
    return parser


def _action(options: argparse.Namespace) -> int:
    if min(options.requests, options.rounds) < 1 or options.replicas < 2:
        raise InputError("--requests and --rounds must be at least 1, --replicas at least 2")
    recipe = "imagenet" if options.image else None
    bundle = Bundle.create("model", compile_model(options.model, config=options.config), recipe=recipe)
    facts = {"model": options.model.name, "config": options.config, "image": options.image and options.image.name,
             **compare(bundle, _asking(bundle, options.image), options.replicas, options.requests, options.rounds)}
    if output.deliver(options, facts):
        for first, second, ratio in zip(facts["one_replica"], facts["several"], facts["ratios"], strict=True):
            print(f"1 replica {first:8.1f} requests/s, {options.replicas} replicas {second:8.1f}: {ratio:.2f} times")
        print(f"median: {facts['ratio']:.2f} times")
    return SUCCESS


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
