"""Bodies of HTTP requests: read within limits, then parsed."""

import asyncio
import json
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import Kind, ServiceError


async def read(request: web.Request, settings: Settings) -> bytes:
    """The body, decompressed; raises ``ServiceError`` when it is too large, too slow or broken off."""
    if (request.content_length or 0) > settings.max_message:
        raise _too_large(settings)
    try:
        async with asyncio.timeout(settings.receive_timeout):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(settings) from None
    except TimeoutError:
        raise ServiceError(Kind.SLOW, f"the body did not arrive within {settings.receive_timeout} s") from None
    except (web.RequestPayloadError, ContentEncodingError, ConnectionError) as error:
        raise ServiceError(Kind.INVALID, f"the body cannot be read: {error}") from None


def parse(data: bytes) -> dict[str, Any]:
    """A JSON object; raises ``ServiceError`` for anything else."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ServiceError(Kind.INVALID, f"the body is no JSON: {str(error)[:200]}") from None
    if not isinstance(value, dict):
        raise ServiceError(Kind.INVALID, "the body must be a JSON object")
    return value


def only(body: dict[str, Any], known: tuple[str, ...]) -> None:
    """Raises ``ServiceError`` for a member that is not known."""
    if unknown := [name for name in body if name not in known]:
        raise ServiceError(Kind.INVALID, f"member {unknown[0][:100]!r} is unknown; known: {', '.join(known)}")


def text(body: dict[str, Any], name: str) -> str:
    """A string member, empty when absent; raises ``ServiceError``."""
    value = body.get(name, "")
    if not isinstance(value, str):
        raise ServiceError(Kind.INVALID, f"{name}: must be a string")
    return value


def _too_large(settings: Settings) -> ServiceError:
    return ServiceError(Kind.INVALID, f"the body is larger than the {settings.max_message} bytes accepted")
