"""How the messages of gRPC calls arrive: within the budget, not too slowly, and small where they hold no tensors."""

import asyncio
from typing import Any

from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.memory import Holding
from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import MIB, Settings
from arrayloom.host.serving.errors import Kind, ServiceError

SMALL = 1 << 16
"""Bytes of a message that holds no tensors."""

COPIES = 2
"""How often gRPC holds a message at the moment at which it hands it over."""

AT_ONCE = 0.1
"""Seconds in which a message may arrive before memory is set aside for the largest one: enough for any but large ones."""


async def small(service: Service, method: Method, context: Any) -> Any:
    """The message of a method that takes no tensors, such as a probe: it is answered whatever others hold."""
    with service.budget.hold(0) as holding:
        return parse(method, await receive(service, context, holding))


async def receive(service: Service, context: Any, holding: Holding) -> bytes:
    """The bytes of a call's message; raises ``ServiceError`` where they are too slow, or others hold the memory for them.

    How large a message is shows only when it is there. Memory for the largest is set aside while one arrives that takes its
    time, so that calls which send slowly, or never, do not hold up those that send small messages.
    """
    settings = service.settings
    reading = asyncio.ensure_future(context.read())
    try:
        done, _ = await asyncio.wait({reading}, timeout=AT_ONCE)
        if not done:
            holding.message(COPIES * largest(settings))
            done, _ = await asyncio.wait({reading}, timeout=settings.receive_timeout)
        if not done:
            raise ServiceError(Kind.SLOW, f"the message did not arrive within {settings.receive_timeout} s")
        data = reading.result()
    finally:
        reading.cancel()
    if not isinstance(data, bytes):
        raise ServiceError(Kind.INVALID, "the call ended without a message")
    return data


async def next_of_dialog(service: Service, context: Any) -> bytes | None:
    """The next message of a dialog, None at its end; raises ``ServiceError`` where the client is silent for too long."""
    try:
        data = await asyncio.wait_for(context.read(), service.settings.timeout)
    except TimeoutError:
        raise ServiceError(Kind.SLOW, f"no message within {service.settings.timeout} s; open the stream again") from None
    return data if isinstance(data, bytes) else None


def parse(method: Method, data: bytes) -> Any:
    """A small message from its bytes; raises ``ServiceError`` when it is malformed or larger than such are."""
    if len(data) > SMALL:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; {method.name} takes {SMALL} at most")
    try:
        return method.request.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {method.request.DESCRIPTOR.name} is expected") from None


def largest(settings: Settings) -> int:
    """Bytes up to which gRPC takes a message, so that the handler can say what is wrong with one a little too large."""
    return settings.max_message + MIB
