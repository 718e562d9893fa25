"""Runs a service until it is stopped."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core import access_log, grpc_server, http_server
from arrayloom.host.serving.core.keys import KeyFile
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.repository import Labels
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.core.tls import Certificate
from arrayloom.host.serving.protocols.page.protocol import PAGE
from arrayloom.host.serving.protocols.registry import PROTOCOLS

READING_MODULE = "arrayloom.host.serving.offloaded"


@dataclass(frozen=True)
class Running:
    """A service that answers on both ports."""

    service: Service
    grpc_port: int
    http_port: int
    metrics_port: int | None = None

    def facts(self) -> dict[str, Any]:
        """Ports and names, for a program that started the service."""
        settings = self.service.settings
        own = {} if self.metrics_port is None else {"metrics_port": self.metrics_port}
        return {"name": settings.name, "host": settings.host, "port": self.grpc_port, "http_port": self.http_port, **own,
                "tls": settings.tls_cert is not None, "keys": settings.keys_file is not None,
                "models": [model.key for model in self.service.repository]}


@contextlib.asynccontextmanager
async def running(bundles: Sequence[Path], settings: Settings, labels: Labels | None = None) -> AsyncIterator[Running]:
    """Runs a service on bundle folders with version labels; at exit it finishes accepted requests.

    Raises ``BundleError``, ``ServeError``, and ``ServiceError`` when the first model cannot be loaded.
    """
    service = Service([Model.load(bundle) for bundle in bundles], settings,
                      KeyFile(settings.keys_file) if settings.keys_file else None, _remedy(),
                      {name: reader for protocol in PROTOCOLS for name, reader in protocol.readers.items()}, READING_MODULE,
                      labels)
    protocols = [protocol for protocol in PROTOCOLS if settings.page or protocol is not PAGE]
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None
    access_log.set_up(settings.access_log)
    check_exposure(settings)
    grpc, grpc_port = grpc_server.create(service, protocols, certificate)
    runner, http_port = await http_server.start(service, protocols, certificate)
    runners, metrics_port = [runner], None
    try:
        if settings.metrics_port is not None:
            runner, metrics_port = await http_server.start_metrics(service)
            runners.append(runner)
        await service.start()
        await grpc.start()
        log.info("ready", extra={"event": "ready", "port": grpc_port, "http_port": http_port})
        yield Running(service, grpc_port, http_port, metrics_port)
    finally:
        log.info("stopping", extra={"event": "stopping", "waiting": len(service.pool.queue),
                                    "in_flight": service.pool.in_flight})
        await asyncio.gather(service.stop(), grpc.stop(settings.grace))
        await asyncio.gather(*(runner.cleanup() for runner in runners))
        log.info("stopped", extra={"event": "stopped"})


async def serve(bundles: Sequence[Path], settings: Settings, on_ready: Callable[[Running], None],
                labels: Labels | None = None) -> None:
    """Serves until SIGTERM or SIGINT; errors as in ``running``."""
    task = asyncio.create_task(_until_cancelled(bundles, settings, on_ready, labels))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _until_cancelled(bundles: Sequence[Path], settings: Settings, on_ready: Callable[[Running], None],
                           labels: Labels | None) -> None:
    async with running(bundles, settings, labels) as service:
        on_ready(service)
        await asyncio.Event().wait()


def check_exposure(settings: Settings) -> None:
    """Warns if other machines can reach the address and keys or TLS are missing."""
    missing = [what for what, there in (("keys (--keys-file)", settings.keys_file), ("TLS (--tls-cert)", settings.tls_cert))
               if there is None]
    if missing and not http_server.is_loopback(settings.host):
        log.warning("%s can be reached from other machines, without %s", settings.host, " and without ".join(missing),
                    extra={"event": "open_port"})


def _remedy() -> str:
    """How an operator loads a model, for each protocol that allows it."""
    return " or ".join(f"{protocol.load.verb} {protocol.load.path}" for protocol in PROTOCOLS if protocol.load)
