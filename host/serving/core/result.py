"""The answer to a request, independent of the protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.served_model import Model

Array = NDArray[Any]


@dataclass(frozen=True)
class Result:
    """Outputs under the names the client used, each [N, ...], the seconds of each part, the accelerator's
    cycles, and on request what the image shows."""

    model: Model
    outputs: Mapping[str, Array]
    queue_seconds: float
    preprocess_seconds: float
    device_seconds: float
    cycles: int = 0
    seen: Sequence[Mapping[str, Any]] = ()

    def timing(self) -> str:
        """The parts in milliseconds, in the syntax of HTTP's ``Server-Timing``."""
        parts = {"queue": self.queue_seconds, "preprocess": self.preprocess_seconds, "device": self.device_seconds}
        return ", ".join(f"{name};dur={1000 * seconds:.3f}" for name, seconds in parts.items())

    def log(self, protocol: str, identifier: str = "") -> None:
        """Logs an answered inference; ``identifier`` is the client's, if it gave one."""
        log.info("inference", extra={
            "event": "inference", "protocol": protocol, "id": identifier[:100], "model": self.model.name,
            "version": self.model.version, "queue_ms": round(1000 * self.queue_seconds, 3),
            "preprocess_ms": round(1000 * self.preprocess_seconds, 3), "device_ms": round(1000 * self.device_seconds, 3)})
