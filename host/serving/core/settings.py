"""The settings of a service."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from arrayloom.host.runtime.cores import usable_cores
from arrayloom.host.serving.errors import ServeError
from arrayloom.host.vision import MAX_PIXELS

MIB = 1 << 20


class Reflash(StrEnum):
    """What happens to a request for a model that the device does not hold: it waits until the model
    is loaded, or it is refused with UNAVAILABLE / 503."""

    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Settings:
    """Every setting of a service, with its default; times in seconds, sizes in bytes. Raises ``ServeError``.

    Parameters
    ----------
    metrics_port
        Additional port with ``/metrics`` only, without keys and TLS, for scrapers; None: there is none.
    threads
        Threads of each replica's emulator; 0: all replicas share the cores.
    spares
        Standby processes, with the model loaded, that replace lost replicas.
    queue
        Number of requests that may wait.
    timeout
        From the acceptance of a request to its answer; a client may set a shorter one.
    turn
        How long a model keeps the device while requests for another wait.
    attempts
        How often a request is run if its replicas are lost.
    device_timeout
        Limit of one run; after it the replica is replaced.
    receive_timeout
        Limit for a request's head to arrive, and again for its body.
    grace
        For accepted requests to finish when the service is to stop.
    access_log
        The file with one line per request; ``-``: standard error; None: no log.
    page
        Whether ``/`` serves a page for people.
    memory
        Bytes of all requests in flight on both ports; raised to the size of two of the largest messages if that is more.
    """

    name: str = "arrayloom"
    host: str = "127.0.0.1"
    port: int = 50051
    http_port: int = 8501
    metrics_port: int | None = None
    backend: str = "emulator"
    replicas: int = 1
    threads: int = 0
    spares: int = 1
    reflash: Reflash = Reflash.WAIT
    queue: int = 256
    timeout: float = 300.0
    turn: float = 1.0
    attempts: int = 3
    device_timeout: float = 600.0
    receive_timeout: float = 30.0
    grace: float = 60.0
    memory: int = 256 * MIB
    max_message: int = 64 * MIB
    max_image: int = 16 * MIB
    max_pixels: int = 1 << 25
    max_batch: int = 64
    tls_cert: Path | None = None
    tls_key: Path | None = None
    keys_file: Path | None = None
    access_log: Path | None = None
    page: bool = True

    def __post_init__(self) -> None:
        for field in ("replicas", "queue", "attempts", "memory", "max_message", "max_image", "max_pixels", "max_batch"):
            if getattr(self, field) < 1:
                raise ServeError(f"{_option(field)} {getattr(self, field)}: must be at least 1")
        for field in ("timeout", "device_timeout", "receive_timeout"):
            if not getattr(self, field) > 0:
                raise ServeError(f"{_option(field)} {getattr(self, field)}: must be above 0 seconds")
        for field in ("turn", "grace", "spares"):
            if not getattr(self, field) >= 0:
                raise ServeError(f"{_option(field)} {getattr(self, field)}: must not be negative")
        for field in ("port", "http_port", "metrics_port"):
            if not 0 <= (getattr(self, field) or 0) < 1 << 16:
                raise ServeError(f"{_option(field)} {getattr(self, field)}: must be from 0 (any free port) to 65535")
        if self.max_pixels > MAX_PIXELS:
            raise ServeError(f"--max-pixels {self.max_pixels}: at most {MAX_PIXELS} can be decoded")
        if self.backend not in ("emulator", "rtl"):
            raise ServeError(f"--backend {self.backend}: unknown; there are emulator and rtl")
        if self.threads < 0:
            raise ServeError(f"--threads {self.threads}: must be at least 1, or 0 for the replicas to share the cores")
        if self.backend == "rtl" and self.threads > 1:
            raise ServeError(f"--threads {self.threads}: the backend rtl simulates on one thread; leave it out, or take "
                             "--backend emulator")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ServeError("--tls-cert and --tls-key: TLS needs both the certificate and its key")

    @property
    def threads_each(self) -> int:
        """Threads of a replica. By default all replicas together use no more than the cores available to this process."""
        return self.threads or max(1, usable_cores() // self.replicas)

    @property
    def budget(self) -> int:
        """Bytes of all requests in flight: ``memory``, or the needs of one message of the largest size with its tensors, if
        that is more."""
        return max(self.memory, 2 * self.max_message + MIB)


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"
