"""Receives the messages of gRPC calls: within the memory budget, within a time limit, and small unless they hold tensors."""

import asyncio
from typing import Any

from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.memory import Holding, Streams
from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import MIB, Settings
from arrayloom.host.serving.errors import Kind, ServiceError

SMALL = 1 << 16
"""Largest message without tensors, in bytes."""

COPIES = 2
"""Copies of a message that exist inside gRPC when it delivers the message."""

AT_ONCE = 0.1
"""Seconds for a message to arrive before memory for the largest message is reserved: enough for all but large ones."""


async def small(service: Service, method: Method, context: Any) -> Any:
    """The message of a method without tensors, such as a probe: it is answered however much memory other calls hold."""
    with service.budget.hold(0) as holding:
        return parse(method, await receive(service, context, holding))


async def receive(service: Service, context: Any, holding: Holding) -> bytes:
    """The bytes of a call's message; raises ``ServiceError`` if they arrive too slowly or the memory budget is used up.

    The size of a message is known only after it has arrived. Memory for the largest message is reserved only once a message
    is slow to arrive. A call that sends slowly, or never, therefore does not hold up calls with small messages.
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


async def next_of_dialog(service: Service, context: Any, streams: Streams) -> bytes | None:
    """The next message of a bidirectional stream, None at its end; raises ``ServiceError`` if the client sends none for too
    long, or has sent none for a while and another stream needs its place."""
    reading = asyncio.ensure_future(context.read())
    try:
        with streams.idle() as ended:
            await asyncio.wait({reading, ended}, timeout=service.settings.timeout, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            seconds = service.settings.timeout
            reason = "others wait, and no message came" if ended.done() else f"no message within {seconds} s"
            raise ServiceError(Kind.SLOW, f"{reason}; open the stream again")
        data = reading.result()
    finally:
        reading.cancel()
    return data if isinstance(data, bytes) else None


def parse(method: Method, data: bytes) -> Any:
    """Parses a message without tensors; raises ``ServiceError`` if it is malformed or too large."""
    if len(data) > SMALL:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; {method.name} accepts at most {SMALL}")
    try:
        return method.request.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {method.request.DESCRIPTOR.name} is expected") from None


def largest(settings: Settings) -> int:
    """Largest message in bytes that gRPC accepts: above our own limit, so that the handler can explain what is wrong with
    it."""
    return settings.max_message + MIB
