"""Fuzzes a service with almost valid requests over gRPC and HTTP: no status 500, no lost replica, no second without an
answer to a probe, and correct answers afterwards.

Every request is determined by ``--seed`` and its number. Some are made by schemathesis from the service's
own OpenAPI description, if it has one. ``python -m benchmarks.fuzz_service --requests 50000``.
"""

import argparse
import collections
import itertools
import random
import sys
import threading
import time
from typing import Any

from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.client import PredictionClient
from benchmarks import output
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.service import described
from benchmarks.service.probing import Probes
from benchmarks.service.running import Service, digits_service
from benchmarks.service.seeds import pictures
from benchmarks.service.sending import Answer, GrpcSender, HttpSender, Sender

SENDERS = {"grpc": GrpcSender, "http": HttpSender}
SHOWN = 20
DESCRIBED = 0.2
"""Fraction of the requests made from the service's description."""

PROGRESS_SECONDS = 10.0


class Fuzzing:
    """The requests of all threads, and their outcomes."""

    def __init__(self, service: Service, requests: int, seed: int, quiet: bool) -> None:
        self._service, self._requests, self._seed, self._quiet = service, requests, seed, quiet
        self._numbers, self._lock = itertools.count(), threading.Lock()
        self._said = time.monotonic()
        self.answers: collections.Counter[str] = collections.Counter()
        self.faults: list[dict[str, Any]] = []

    def run(self, clients: int) -> None:
        """Half of the clients use gRPC, half HTTP."""
        kinds = [kind for kind, _ in zip(itertools.cycle(SENDERS), range(clients), strict=False)]
        threads = [threading.Thread(target=self._work, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, kind: str) -> None:
        sender: Sender = SENDERS[kind](self._service)
        while (number := next(self._numbers)) < self._requests and self._service.alive:
            self._note(kind, number, sender.send(random.Random(f"{self._seed} {kind} {number}")))
        sender.close()

    def _note(self, kind: str, number: int, answer: Answer) -> None:
        with self._lock:
            self.answers[f"{kind} {answer.status}"] += 1
            if answer.fault:
                self.faults.append({"protocol": kind, "number": number, "call": answer.call, "fault": answer.fault})
            if not self._quiet and time.monotonic() > self._said + PROGRESS_SECONDS:
                self._said = time.monotonic()
                print(f"{self.answers.total():,} of {self._requests:,} requests", file=sys.stderr, flush=True)


def fuzz(requests: int, clients: int, seed: int, quiet: bool = False) -> dict[str, Any]:
    """The figures of a run; ``sound`` if nothing is wrong."""
    with digits_service(["--replicas", "1", "--spares", "1"]) as service:
        before = _right(service)
        begin = time.monotonic()
        with Probes(service) as probes:
            by_description = described.run(service, int(requests * DESCRIBED), seed)
            fuzzing = Fuzzing(service, max(requests - by_description.answers.total(), 1), seed, quiet)
            fuzzing.run(clients)
        faults = by_description.faults + fuzzing.faults
        answers = by_description.answers + fuzzing.answers
        seconds = time.monotonic() - begin
        found: dict[str, Any] = {
            "requests": answers.total(), "described": by_description.answers.total(),
            "not_described": by_description.missing, "clients": clients, "seed": seed, "seconds": seconds,
            "answers": dict(sorted(answers.items())), "faults": len(faults), "first_faults": faults[:SHOWN],
            "alive": service.alive,
            "replicas_lost": len(service.events("replica_lost")), "unexpected": len(service.events("failure")),
            **probes.figures(), "right_afterwards": service.alive and _right(service) == before}
    found["sound"] = (found["alive"] and found["right_afterwards"] and found["requests"] >= requests and not any(
        found[name] for name in ("faults", "replicas_lost", "unexpected", "deaf_seconds", "probe_failures")))
    return found


def _right(service: Service) -> bytes:
    """The answer to a valid request."""
    with PredictionClient("127.0.0.1", service.port) as client:
        return bytes(client.score_numpy_arrays({"image": pictures(3)}, "logits").tobytes())


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("benchmarks.fuzz_service", __doc__)
    parser.add_argument("--requests", type=int, default=50_000, metavar="N", help="in all (default 50,000)")
    parser.add_argument("--clients", type=int, default=8, metavar="N", help="threads, half for each port (default 8)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default 0")
    return parser


def _action(options: argparse.Namespace) -> int:
    if options.requests < 1 or options.clients < 2:
        raise InputError("--requests must be at least 1, --clients at least 2: one for each port")
    found = fuzz(options.requests, options.clients, options.seed)
    if output.deliver(options, found):
        for name, value in found.items():
            print(f"{name.replace('_', ' '):18} {value}")
    return SUCCESS if found["sound"] else OUTSIDE


if __name__ == "__main__":
    sys.exit(run(_parser(), _action))
