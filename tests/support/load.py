"""Many concurrent clients of a service; every answer is checked."""

import itertools
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import serving
from numpy.typing import NDArray

from arrayloom.host.serving.client import PredictionClient, Retries
from arrayloom.host.serving.protocols.open_inference import INFER, JSON_LENGTH, LOAD

Array = NDArray[np.float32]


@dataclass
class Workload:
    """Images of one model with the expected answers."""

    model: str
    inputs: Array
    answers: Array
    input_name: str
    output_name: str


@dataclass
class Outcome:
    """The outcome of the requests: ``wrong`` answers by index, ``errors`` as text."""

    sent: int = 0
    right: int = 0
    wrong: list[tuple[str, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run(server: serving.Server, requests: list[tuple[Workload, int]], clients: int,
        during: threading.Thread | None = None) -> Outcome:
    """Sends every request once from ``clients`` threads, half over gRPC, half over HTTP; repeats while ``during`` runs."""
    outcome, lock = Outcome(), threading.Lock()
    again = itertools.takewhile(lambda _: during is not None and during.is_alive(), itertools.cycle(requests))
    queue = itertools.chain(requests, again)

    def work(index: int) -> None:
        with PredictionClient("127.0.0.1", server.port, timeout=600, retries=Retries(tries=1)) as client:
            while True:
                with lock:
                    item = next(queue, None)
                    outcome.sent += item is not None
                if item is None:
                    return
                _note(outcome, lock, item, lambda w, i: _grpc(client, w, i) if index % 2 else _http(server, w, i))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


def _note(outcome: Outcome, lock: Any, item: tuple[Workload, int], ask: Callable[[Workload, int], Array]) -> None:
    workload, index = item
    try:
        right = ask(workload, index).tobytes() == workload.answers[index:index + 1].tobytes()
    except Exception as error:
        with lock:
            outcome.errors.append(f"{workload.model} {index}: {error!r}")
        return
    with lock:
        if right:
            outcome.right += 1
        else:
            outcome.wrong.append((workload.model, index))


def _grpc(client: PredictionClient, workload: Workload, index: int) -> Array:
    client._model.name = workload.model
    return client.score_numpy_arrays({workload.input_name: workload.inputs[index:index + 1]}, workload.output_name)


def _http(server: serving.Server, workload: Workload, index: int) -> Array:
    image = workload.inputs[index:index + 1]
    head = {"inputs": [{"name": workload.input_name, "datatype": "FP32", "shape": list(image.shape),
                        "parameters": {"binary_data_size": image.nbytes}}], "parameters": {"binary_data_output": True}}
    text = json.dumps(head).encode()
    request = urllib.request.Request(server.url + INFER.at(workload.model), text + image.tobytes(),
                                     {JSON_LENGTH: str(len(text))})
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            length, body = int(response.headers[JSON_LENGTH]), response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from None
    return np.frombuffer(body[length:], np.float32).reshape(1, -1)


class Chaos(threading.Thread):
    """Kills a random replica and loads another model, a given number of times each, while requests run."""

    def __init__(self, server: serving.Server, models: list[str], swaps: int, kills: int, pause: float) -> None:
        super().__init__()
        self._server, self._models, self._pause = server, models, pause
        self._acts = ["swap"] * swaps + ["kill"] * kills
        random.Random(7).shuffle(self._acts)
        self.done = {"swap": 0, "kill": 0}
        self.failures: list[str] = []

    def run(self) -> None:
        for act in self._acts:
            time.sleep(self._pause)
            try:
                getattr(self, f"_{act}")()
                self.done[act] += 1
            except Exception as error:
                self.failures.append(f"{act}: {error!r}")

    def _swap(self) -> None:
        model = self._models[(self.done["swap"] + 1) % len(self._models)]
        request = urllib.request.Request(self._server.url + LOAD.at(model), b"", method="POST")
        urllib.request.urlopen(request, timeout=600).close()

    def _kill(self) -> None:
        end = time.monotonic() + 30
        while not (replicas := self._server.replicas()) and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(random.Random(self.done["kill"]).choice(replicas), signal.SIGKILL)
