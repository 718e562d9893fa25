"""Loads a service while its replicas are killed, or while attacks are mixed with valid requests: every valid request must
get the correct answer; measures the waiting times.

``python -m benchmarks.soak_service --requests 10000 --clients 8 --kill-every 2`` kills the replica that runs requests every
two seconds. With ``--bombs 2 --memory-limit 1073741824`` two clients send expensive messages, under a limit of the total
memory.
"""

import argparse
import contextlib
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.client import ClientError, PredictionClient, Retries
from benchmarks import output
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.service.attacks import Attackers
from benchmarks.service.probing import Probes
from benchmarks.service.running import Service, digits_service
from benchmarks.service.seeds import pictures

PERCENTILES = (50, 99, 99.9)
DIFFERENT = 16
BOMB_BYTES = 60 << 20


class Load:
    """Requests in closed loops; ``seconds`` of each correctly answered one, and the faults of the others."""

    def __init__(self, service: Service, requests: int) -> None:
        self._service, self._numbers, self._requests = service, itertools.count(), requests
        self._inputs = pictures(DIFFERENT)
        with PredictionClient("127.0.0.1", service.port) as client:
            self._wanted = [client.score_numpy_arrays({"image": each[np.newaxis]}, "logits").tobytes()
                            for each in self._inputs]
        self._lock = threading.Lock()
        self.seconds: list[float] = []
        self.wrong: list[int] = []
        self.lost: list[str] = []

    def run(self, clients: int) -> None:
        threads = [threading.Thread(target=self._loop) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _loop(self) -> None:
        """A client that repeats requests which the service refuses because it is full."""
        with PredictionClient("127.0.0.1", self._service.port, timeout=120, retries=Retries(tries=1)) as client:
            while (number := next(self._numbers)) < self._requests and self._service.alive:
                begin = time.monotonic()
                self._note(number, begin, self._ask(client, self._inputs[number % DIFFERENT][np.newaxis]))

    def _ask(self, client: PredictionClient, image: Any) -> bytes | str:
        while True:
            try:
                return bytes(client.score_numpy_arrays({"image": image}, "logits").tobytes())
            except ClientError as error:
                if error.code != "RESOURCE_EXHAUSTED":
                    return str(error)
                time.sleep(0.05)

    def _note(self, number: int, begin: float, answer: bytes | str) -> None:
        with self._lock:
            if isinstance(answer, str):
                self.lost.append(answer[:300])
            elif answer != self._wanted[number % DIFFERENT]:
                self.wrong.append(number)
            else:
                self.seconds.append(time.monotonic() - begin)


class Killer(threading.Thread):
    """Kills the oldest replica at regular intervals: it runs requests, since spares are younger."""

    def __init__(self, service: Service, every: float) -> None:
        super().__init__(daemon=True)
        self._service, self._every, self._over = service, every, threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self._over.wait(self._every):
            if replicas := self._service.replicas():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(replicas[0], signal.SIGKILL)
                    self.kills += 1

    def end(self) -> None:
        self._over.set()
        self.join()


def soak(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of a run; ``sound`` if nothing is lost, wrong or unresponsive."""
    settings = ["--replicas", str(options.replicas), "--spares", str(options.spares), "--attempts", "10"]
    with digits_service(settings, options.memory_limit) as service:
        load, before = Load(service, options.requests), service.resident()
        begin = time.monotonic()
        with Probes(service) as probes, _disturbed(service, options) as disturbance:
            load.run(options.clients)
        seconds = time.monotonic() - begin
        time.sleep(options.rest)
        found: dict[str, Any] = {
            "requests": options.requests, "clients": options.clients, "replicas": options.replicas, "spares": options.spares,
            "memory_limit": options.memory_limit, "seconds": seconds, "right": len(load.seconds), "wrong": len(load.wrong),
            "lost": len(load.lost), "first_lost": load.lost[:5],
            "latency_ms": {f"p{p:g}": 1000 * float(np.percentile(load.seconds or [0.0], p)) for p in PERCENTILES}
            | {"max": 1000 * max(load.seconds, default=0.0)},
            **disturbance, **probes.figures(), "resident_bytes_before": before, "resident_bytes_after": service.resident(),
            "replicas_lost": len(service.events("replica_lost")), "alive": service.alive}
    found["sound"] = found["alive"] and found["right"] == options.requests and not found["deaf_seconds"]
    return found


@contextlib.contextmanager
def _disturbed(service: Service, options: argparse.Namespace) -> Iterator[dict[str, int]]:
    """The disturbances during the load; the counts are complete at the end."""
    counts: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        attackers = stack.enter_context(Attackers(service, BOMB_BYTES, options.bombs)) if options.bombs else None
        killer = Killer(service, options.kill_every) if options.kill_every else None
        if killer:
            killer.start()
        yield counts
        if killer:
            killer.end()
            counts["kills"] = killer.kills
    if attackers:
        counts["bombs"] = attackers.sent


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.soak_service", __doc__)
    parser.add_argument("--requests", type=int, default=10_000, metavar="N", help="honest ones (default 10,000)")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="honest ones (default 8)")
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument("--spares", type=int, default=1, metavar="N", help="default 1")
    parser.add_argument("--kill-every", type=float, default=0, metavar="SECONDS", help="default: none is killed")
    parser.add_argument("--bombs", type=int, default=0, metavar="N", help="clients that send bombs (default 0)")
    parser.add_argument("--memory-limit", type=int, metavar="BYTES", help="memory limit in bytes of the whole service, by "
                                                                          "a cgroup; needs root")
    parser.add_argument("--rest", type=float, default=10, metavar="SECONDS", help="seconds before memory is measured again "
                                                                                  "(default 10)")
    return parser


def _action(options: argparse.Namespace) -> int:
    if min(options.requests, options.clients, options.replicas) < 1 or min(options.spares, options.kill_every,
                                                                           options.bombs) < 0:
        raise InputError("--requests, --clients and --replicas must be at least 1, the others not negative")
    found = soak(options)
    if output.deliver(options, found):
        for name, value in found.items():
            print(f"{name.replace('_', ' '):22} {value}")
    return SUCCESS if found["sound"] else OUTSIDE


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
