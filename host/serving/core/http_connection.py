"""HTTP connections that report every error as JSON, including those that the library raises before routing."""

import asyncio
import ssl
from typing import Any

from aiohttp import web

from arrayloom.host.serving.core.about import SERVER
from arrayloom.host.serving.core.open_files import http_connections

LONGEST_ERROR = 2000
"""Most characters of an error's text."""

LINGER_SECONDS = 10.0
"""Seconds to read the rest of a refused body; otherwise its sender would never read the answer."""


def error_response(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """``{"error": TEXT}``, truncated to a length that any client accepts."""
    return web.json_response({"error": text[:LONGEST_ERROR]}, status=status, headers={"Server": SERVER, **(headers or {})})


class Connection(web.RequestHandler):
    """One client's connection.

    Parameters
    ----------
    others
        The open connections of the same port, the oldest first.
    most
        How many there may be; one more closes the oldest, after the request that it is answering.
    """

    __slots__ = ("_most", "_others")

    def __init__(self, *arguments: Any, others: dict["Connection", None], most: int, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._others, self._most = others, most

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._others[self] = None
        if len(self._others) > self._most:
            oldest = next(iter(self._others))
            del self._others[oldest]
            oldest.close()

    async def start(self) -> None:
        """Answers requests; the library's own leaves the socket open if it is closed while it waits for a request."""
        try:
            await super().start()
        finally:
            if self.transport is not None:
                self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._others.pop(self, None)
        super().connection_lost(exc)

    def handle_error(self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None,
                     message: str | None = None) -> web.StreamResponse:
        """Answers requests that are not valid HTTP; the library logs them and ends answers that have begun."""
        if isinstance(exc, UnicodeError):       # the library would copy the undecodable header into its answer
            status, message = 400, "a header holds bytes that are no text"
        super().handle_error(request, status, exc, message)
        reason = "the request cannot be read as HTTP: " + (message or type(exc).__name__) if status < 500 else \
            f"unexpected {type(exc).__name__}; see the service's log"
        response = error_response(status, " ".join(reason.split()))
        response.force_close()
        return response

    async def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse,
                              start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """Converts the library's own error responses from text to JSON."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            resp = error_response(resp.status, resp.text or resp.reason)
        return await super().finish_response(request, resp, start_time)


class Site(web.BaseSite):
    """A listening socket whose connections use the class above, with ``options``."""

    __slots__ = ("_host", "_options", "_port")

    def __init__(self, runner: web.AppRunner, host: str, port: int, tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(runner, ssl_context=tls)
        self._host, self._port, self._options = host, port, options

    @property
    def name(self) -> str:
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Starts to listen; raises ``OSError`` if the address cannot be bound."""
        await super().start()
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None
        others: dict[Connection, None] = {}
        most = http_connections()
        self._server = await loop.create_server(
            lambda: Connection(server, loop=loop, others=others, most=most, **self._options), self._host, self._port,
            ssl=self._ssl_context)
