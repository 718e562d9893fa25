"""Probes a service's health under load: the duration of each probe, on persistent connections."""

import http.client
import threading
import time
from typing import Any, Self

import grpc
import numpy as np

from arrayloom.host.serving.protocols import open_inference
from arrayloom.host.serving.protocols.health.protocol import CHECK, health
from benchmarks.service.running import Service

PAUSE, DEAF = 0.05, 1.0
"""Seconds between two probes, and seconds after which a service counts as unresponsive."""


class Probes(threading.Thread):
    """A context manager; ``times`` in seconds by port, ``failures`` as text; ``overslept``: delay
    of the thread's wake-ups, a measure of the machine's other load."""

    def __init__(self, service: Service) -> None:
        super().__init__(daemon=True)
        self.times: dict[str, list[float]] = {"http": [], "grpc": []}
        self.failures: list[str] = []
        self.overslept: list[float] = []
        self._service, self._over = service, threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{self._service.port}") as channel:
            check = channel.unary_unary(CHECK.path, response_deserializer=health.HealthCheckResponse.FromString)
            while not self._pause():
                self._time("http", self._http)
                self._time("grpc", lambda: check(b"", timeout=60).status == health.ServingStatus["SERVING"])

    def figures(self) -> dict[str, Any]:
        return {"probes": {port: {"count": len(times), "p99_ms": 1000 * float(np.percentile(times or [0.0], 99)),
                                  "max_ms": 1000 * max(times, default=0.0)} for port, times in self.times.items()},
                "machine_pause_max_ms": 1000 * max(self.overslept, default=0.0),
                "deaf_seconds": sum(seconds > DEAF for times in self.times.values() for seconds in times),
                "probe_failures": self.failures[:5]}

    def _pause(self) -> bool:
        begin = time.monotonic()
        over = self._over.wait(PAUSE)
        self.overslept.append(max(time.monotonic() - begin - PAUSE, 0.0))
        return over

    def _http(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._service.facts["http_port"], timeout=60)
        try:
            connection.request("GET", open_inference.READY.path)
            return connection.getresponse().status == 200
        finally:
            connection.close()

    def _time(self, port: str, ask: Any) -> None:
        begin = time.monotonic()
        try:
            if not ask():
                self.failures.append(f"{port}: not ready")
        except (OSError, http.client.HTTPException, grpc.RpcError) as error:
            self.failures.append(f"{port}: {type(error).__name__}: {error}"[:300])
        self.times[port].append(time.monotonic() - begin)
