"""Reads bodies of HTTP requests within limits, then decompresses and parses them.

Validation libraries do not fit: they build an object for every number first, whereas here the objects are counted before any
is built.
"""

import asyncio
import json
import zlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from arrayloom.host.serving.core.http_server import HOLDING
from arrayloom.host.serving.core.memory import Holding
from arrayloom.host.serving.core.reading import INLINE, Limits
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import Kind, ServiceError

SMALL = 1 << 16
"""Largest body without tensors, in bytes."""

ENCODINGS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS, "identity": 0}
"""Supported compressions of bodies, with zlib's parameter for each."""


async def read(request: web.Request, settings: Settings, limit: int | None = None) -> bytearray:
    """The body as sent; raises ``ServiceError`` if it is too large, too slow or incomplete, or the memory budget
    is used up."""
    most = settings.max_message if limit is None else limit
    if (request.content_length or 0) > most:
        raise _too_large(most)
    holding: Holding = request[HOLDING]
    data = bytearray()
    try:
        async with asyncio.timeout(settings.receive_timeout):
            async for piece in request.content.iter_any():
                if len(data) + len(piece) > most:
                    raise _too_large(most)
                holding.message(len(data) + len(piece))
                data += piece
    except TimeoutError:
        raise ServiceError(Kind.SLOW, f"the body did not arrive within {settings.receive_timeout} s") from None
    except (web.RequestPayloadError, ConnectionError) as error:
        raise ServiceError(Kind.INVALID, f"the body cannot be read: {error}") from None
    return data


async def read_small(request: web.Request, settings: Settings) -> dict[str, Any]:
    """A small JSON object, empty if there is no body."""
    data = decompress(await read(request, settings, SMALL), encoding(request), SMALL)
    return parse(data) if data else {}


def encoding(request: web.Request) -> str:
    """The compression that the client states; raises ``ServiceError`` if it is not supported."""
    name = request.headers.get("Content-Encoding", "identity").strip().lower()
    if name not in ENCODINGS:
        raise ServiceError(Kind.INVALID, f"Content-Encoding {name[:100]!r} is not understood; send one of "
                                         f"{', '.join(ENCODINGS)}")
    return name


def decompress(data: bytes | bytearray, name: str, limit: int) -> bytes | bytearray:
    """Decompresses, producing at most ``limit`` bytes; raises ``ServiceError``."""
    if name == "identity":
        return data
    bits = ENCODINGS[name]
    if name == "deflate" and data[:1] and data[0] & 0xF != zlib.DEFLATED:
        bits = -zlib.MAX_WBITS      # some clients omit zlib's header
    work = zlib.decompressobj(bits)
    try:
        result = work.decompress(data, limit + 1)
    except zlib.error as error:
        raise ServiceError(Kind.INVALID, f"the body cannot be read: it is not {name} ({error})") from None
    if len(result) > limit:
        raise _too_large(limit)
    if not work.eof or work.unused_data:
        raise ServiceError(Kind.INVALID, f"the body cannot be read: its {name} is cut short, or is followed by more")
    return result


def parse(data: bytes | bytearray, limits: Limits | None = None) -> dict[str, Any]:
    """Parses a JSON object; raises ``ServiceError`` for anything else, and if it would become too many objects."""
    if limits is not None:
        _check_count(data, limits)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ServiceError(Kind.INVALID, f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise ServiceError(Kind.INVALID, "the body must be a JSON object")
    return value


def parse_request(data: bytes | bytearray, facts: Mapping[str, Any], limits: Limits) -> tuple[dict[str, Any], memoryview]:
    """The JSON part of a body, and the binary part that follows it if ``facts`` give the JSON's length.

    ``facts``: ``encoding``, and if a header gives it ``json_length``, with the header's name as ``json_header``.
    """
    content = decompress(data, facts["encoding"], limits.message)
    length = facts.get("json_length")
    if length is None:
        return parse(content, limits), memoryview(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 16 and int(length) <= len(content)):
        raise ServiceError(Kind.INVALID, f"{facts['json_header']} {length[:100]!r}: must be the length of the body's JSON "
                                         f"part, at most {len(content)}")
    return parse(content[:int(length)], limits), memoryview(content)[int(length):]


def is_light(_: bytes | bytearray, facts: Mapping[str, Any]) -> bool:
    """Whether the JSON part of a body that is not compressed is short, and tensors follow it as bytes."""
    length = facts.get("json_length")
    return length is not None and len(length) < 16 and length.isascii() and length.isdigit() and int(length) <= INLINE


def only(body: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raises ``ServiceError`` for an unknown member."""
    if unknown := [name for name in body if name not in known]:
        raise ServiceError(Kind.INVALID, f"member {unknown[0][:100]!r} is unknown; known: {', '.join(known)}")


def text(body: dict[str, Any], name: str) -> str:
    """A string member, empty when absent; raises ``ServiceError``."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise ServiceError(Kind.INVALID, f"{name}: must be a string")
    return value


def _check_count(data: bytes | bytearray, limits: Limits) -> None:
    """Counts the objects that the text may become before building any: one byte of JSON can take a hundred in memory."""
    containers = data.count(b"[") + data.count(b"{")
    if containers > limits.containers:
        raise ServiceError(Kind.INVALID, f"the body holds {containers} lists and objects, which no request of 1 to "
                                         f"{limits.batch} images has ({limits.containers} at most)")
    values = data.count(b",")
    if values > limits.values + limits.containers:
        raise ServiceError(Kind.INVALID, f"the body holds {values} values, which no request of 1 to {limits.batch} images "
                                         f"has ({limits.values} at most)")


def _too_large(limit: int) -> ServiceError:
    return ServiceError(Kind.INVALID, f"the body is larger than the {limit} bytes accepted")
