"""Prometheus metrics of a service."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST

disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_PAGE = 4096


class Metrics:
    """All metrics of one service, in a registry of its own."""

    def __init__(self, multipliers_clock: str) -> None:
        self.registry = registry = CollectorRegistry()
        model = ["model", "version"]

        def counter(name: str, text: str, labels: Iterable[str] = model) -> Counter:
            return Counter(f"arrayloom_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str, labels: Iterable[str] = model) -> Histogram:
            return Histogram(f"arrayloom_{name}_seconds", text, labels, buckets=_SECONDS, registry=registry)

        self.requests = counter("requests", "Requests by protocol, method and status", ["protocol", "method", "code"])
        self.request_time = seconds("request", "From the arrival of a request to its answer", ["protocol", "method"])
        self.queue_time = seconds("queue", "From a request's acceptance to the start of its run")
        self.preprocess_time = seconds("preprocess", "Decoding and preprocessing of a request's images")
        self.device_time = seconds("device", "Run of a request on the device")
        self.images = counter("images", "Images run on the device")
        self.cycles = counter("simulated_cycles", f"Cycles of the accelerator, {multipliers_clock}")
        self.macs = counter("multiply_accumulates", "Multiply-accumulates of the graphs that ran")
        self.utilization = Gauge("arrayloom_utilization",
                                 f"Utilization of the array in the last run, {multipliers_clock}", model, registry=registry)
        self.retries = counter("retries", "Requests run again because their replica was lost")
        self.lost = counter("replicas_lost", "Replicas that ended unexpectedly", [])
        self.reflashes = counter("reflashes", "Models loaded onto a device")
        self.reflash_time = seconds("reflash", "Time to load a model onto a device")

    def watch(self, read: Callable[[], dict[str, float]], processes: Callable[[], dict[str, int]]) -> None:
        """Gauges read at scrape time: ``read`` returns values by name, ``processes`` returns process identifiers by role."""
        self.registry.register(_Watched(read, processes))

    def text(self) -> bytes:
        """The metrics in the exposition format of ``CONTENT_TYPE``."""
        return generate_latest(self.registry)


class _Watched:
    def __init__(self, read: Callable[[], dict[str, float]], processes: Callable[[], dict[str, int]]) -> None:
        self._read, self._processes = read, processes

    def collect(self) -> Iterator[Any]:
        for name, value in self._read().items():
            yield GaugeMetricFamily(f"arrayloom_{name}", name.replace("_", " ").capitalize(), value=value)
        memory = GaugeMetricFamily("arrayloom_resident_memory_bytes", "Resident memory of the service's processes",
                                   labels=["process"])
        for role, pid in self._processes().items():
            memory.add_metric([role], resident_bytes(pid))
        yield memory


def resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
