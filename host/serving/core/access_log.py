"""The access log: one JSON object per request on either port, without the request's content and without keys."""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from arrayloom.host.serving.core.logs import JsonFormatter
from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.request_ids import CURRENT
from arrayloom.host.serving.errors import ServeError

log = logging.getLogger("arrayloom.access")
STANDARD_ERROR = Path("-")
IDENTIFIER = web.RequestKey("identifier", str)
"""The key under which an HTTP request stores its log entry."""

LONGEST = 200


def set_up(path: Path | None) -> None:
    """Where the lines are written: nowhere, to standard error (``-``), or to a file, which log rotation may move at any
    time.

    Raises ``ServeError`` if the file cannot be written.
    """
    log.handlers[:], log.propagate = [], False
    log.setLevel(logging.INFO if path is not None else logging.CRITICAL)
    if path is None:
        return
    try:
        handler: logging.Handler = logging.StreamHandler(sys.stderr) if path == STANDARD_ERROR else WatchedFileHandler(path)
    except OSError as error:
        raise ServeError(f"--access-log {path}: cannot be written: {error.strerror}") from None
    handler.setFormatter(JsonFormatter())
    log.addHandler(handler)


def write(protocol: str, method: str, path: str, status: int | str, seconds: float, client: str | None, **more: Any) -> None:
    """Writes one line; ``more`` holds further fields."""
    if log.isEnabledFor(logging.INFO):
        log.info("access", extra={"event": "access", "protocol": protocol, "method": method, "path": path[:LONGEST],
                                  "status": status, "milliseconds": round(1000 * seconds, 3), "client": client or ""} | more)


@dataclass
class Outcome:
    """The name of the status with which a gRPC call ended."""

    code: str = "OK"


@contextlib.contextmanager
def grpc_call(path: str, context: Any) -> Iterator[Outcome]:
    """One call: gives it an identifier, and writes its log line however the call ends."""
    Call.identified(context)
    outcome, begin = Outcome(), time.perf_counter()
    try:
        yield outcome
    except (asyncio.CancelledError, GeneratorExit):
        outcome.code = "CANCELLED"
        raise
    finally:
        write("grpc", path.rpartition("/")[2], path, outcome.code, time.perf_counter() - begin, context.peer())


class HttpAccess(AbstractAccessLogger):
    """Logs each request that aiohttp reports, malformed ones included. The query is left out, as it may hold secrets."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        token = CURRENT.set(request.get(IDENTIFIER, ""))
        write("http", request.method[:20], request.path, response.status, time, request.remote,
              request_bytes=request.content_length or 0, response_bytes=response.body_length)
        CURRENT.reset(token)
