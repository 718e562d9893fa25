"""gRPC's standard health check: Check and Watch, for probes, which need no key and are not counted as requests.

grpcio-health-checking does not fit: its servicer repeats the last state set by the application, whereas a probe here
checks the devices at the moment of the call.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from arrayloom.host.serving.core.protocol import Call, Method, Protocol
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.schema import load

health = load(Path(__file__).with_name("health.proto"))

SERVICE = "grpc.health.v1.Health"
CHECK = Method(SERVICE, "Check", health.HealthCheckRequest, health.HealthCheckResponse, keyless=True, counted=False)
WATCH = Method(SERVICE, "Watch", health.HealthCheckRequest, health.HealthCheckResponse, stream=True, keyless=True,
               counted=False)
WATCH_SECONDS = 0.2


async def check(service: Service, message: Any, call: Call) -> Any:
    known = _known(call)
    if message.service not in known:
        raise ServiceError(Kind.NOT_FOUND, f"service {message.service[:100]!r} is unknown; known: {', '.join(known[1:])}")
    return _response(service, message.service, known)


async def watch(service: Service, message: Any, call: Call) -> AsyncIterator[Any]:
    """The status now and whenever it changes, until the service stops."""
    known = _known(call)
    last = None
    with service.small_streams.one():
        while not service.stopping:
            if (response := _response(service, message.service, known)) != last:
                last = response
                yield response
            await asyncio.sleep(WATCH_SECONDS)
    yield _response(service, message.service, known)


def _known(call: Call) -> Sequence[str]:
    """The services that a probe may name: the server as a whole (empty name) and its other services."""
    return ("", *(name for name in call.services if name != SERVICE))


def _response(service: Service, name: str, known: Sequence[str]) -> Any:
    status = "SERVICE_UNKNOWN" if name not in known else "SERVING" if service.ready else "NOT_SERVING"
    return health.HealthCheckResponse(status=health.ServingStatus[status])


HEALTH = Protocol("gRPC health", {CHECK: check, WATCH: watch})
