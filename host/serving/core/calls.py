"""What every protocol does around a call: the kind of an error, its count, its time and its line in the log."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.service import Result, Service
from arrayloom.isa.errors import ArrayloomError

T = TypeVar("T")

OK = "OK"


async def call(service: Service, protocol: str, method: str, action: Callable[[], Awaitable[T]]) -> T:
    """Awaits ``action``; whatever it raises comes out as ``ServiceError``."""
    begin = time.perf_counter()
    code = "CANCELLED"
    try:
        result = await action()
        code = OK
        return result
    except ServiceError as error:
        code = error.kind.grpc
        raise
    except ArrayloomError as error:
        code = Kind.INVALID.grpc
        raise ServiceError(Kind.INVALID, str(error)) from None
    except Exception as error:
        code = Kind.INTERNAL.grpc
        log.exception("unexpected failure in %s", method, extra={"event": "failure"})
        raise ServiceError(Kind.INTERNAL, f"unexpected {type(error).__name__}; the service's log tells more") from None
    finally:
        seconds = time.perf_counter() - begin
        service.metrics.requests.labels(protocol, method, code).inc()
        service.metrics.request_time.labels(protocol, method).observe(seconds)
        log.debug("%s %s", protocol, method, extra={"event": "call", "code": code, "milliseconds": round(1000 * seconds, 3)})


def note(protocol: str, identifier: str, result: Result) -> None:
    """The line in the log of an answered inference."""
    log.info("inference", extra={
        "event": "inference", "protocol": protocol, "id": identifier[:100], "model": result.model.name,
        "version": result.model.version, "queue_ms": round(1000 * result.queue_seconds, 3),
        "preprocess_ms": round(1000 * result.preprocess_seconds, 3), "device_ms": round(1000 * result.device_seconds, 3)})


def parse(message: Any, data: bytes, limit: int) -> Any:
    """A message from its bytes; raises ``ServiceError`` when it is malformed or larger than ``limit`` bytes."""
    from google.protobuf.message import DecodeError

    if len(data) > limit:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; at most {limit} are accepted")
    try:
        return message.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {message.DESCRIPTOR.name} is expected") from None
