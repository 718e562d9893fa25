"""The HTTP server: the routes of every protocol, metrics, keys, TLS and limits."""

import ipaddress
import itertools
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from arrayloom.host.serving.core import access_log, request_ids
from arrayloom.host.serving.core.about import SERVER, VERSION
from arrayloom.host.serving.core.access_log import IDENTIFIER
from arrayloom.host.serving.core.http_connection import LINGER_SECONDS, Site, error_response
from arrayloom.host.serving.core.memory import Holding
from arrayloom.host.serving.core.metrics import CONTENT_TYPE
from arrayloom.host.serving.core.openapi import STRING, document, operation
from arrayloom.host.serving.core.protocol import ADMIN_WANTED, Protocol, Route, RouteHandler
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.core.tls import Certificate
from arrayloom.host.serving.errors import Kind, ServeError, ServiceError

METRICS = Route("GET", "/metrics", "metrics")
OPENAPI = Route("GET", "/openapi.json", "openapi")
OPERATIONS = {
    METRICS: operation("Metrics in Prometheus' text format.", STRING, media_type="text/plain"),
    OPENAPI: operation("This description.", {"type": "object"}),
}

HOLDING: web.RequestKey[Holding] = web.RequestKey("holding", Holding)
"""The key under which a request stores its share of the memory budget."""

LOOPBACK_NAMES = {"localhost"}
# Content types that a browser sends for any page without asking the service first. The third such type, that of forms, is
# the default of curl and urllib; a browser sends it with an Origin, which is checked.
PAGE_TYPES = {"text/plain", "multipart/form-data"}


async def _metrics(service: Service, _: web.Request) -> web.Response:
    return web.Response(body=service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def description(service: Service, protocols: Sequence[Protocol]) -> dict[str, Any]:
    """The OpenAPI description of all routes."""
    return document(service.settings.name, VERSION, protocols, OPERATIONS, service.keys is not None)


def application(service: Service, protocols: Sequence[Protocol]) -> web.Application:
    """The application with all routes."""
    described = description(service, protocols)

    async def openapi(_: Service, __: web.Request) -> web.Response:
        return web.json_response(described)

    routes: dict[Route, RouteHandler] = {METRICS: _metrics, OPENAPI: openapi}
    for protocol in protocols:
        routes.update(protocol.routes)
    keyless = {route.path for route in routes if route.keyless}
    app = web.Application(middlewares=[_guard(service, keyless, ", ".join(dict.fromkeys(route.path for route in routes)))])
    for route, handler in routes.items():
        for pattern, verb in itertools.product(route.patterns, ("GET", "HEAD") if route.verb == "GET" else (route.verb,)):
            app.router.add_route(verb, pattern, _measured(service, route, handler))
    app.on_response_prepare.append(_sign)
    return app


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Adds the request's identifier and the server's name; not the versions of libraries, which would help an attacker."""
    response.headers["Server"] = SERVER
    response.headers[request_ids.HEADER] = request[IDENTIFIER] if IDENTIFIER in request else request_ids.begin(None)


async def start(service: Service, protocols: Sequence[Protocol],
                certificate: Certificate | None) -> tuple[web.AppRunner, int]:
    """Binds and starts; returns the runner and its port. Raises ``ServeError`` if the port cannot be bound."""
    tls = certificate.serving_context() if certificate else None
    return await _listen(application(service, protocols), service.settings, "http_port", tls)


async def start_metrics(service: Service) -> tuple[web.AppRunner, int]:
    """Starts a port with ``/metrics`` only, without keys and TLS, for a scraper inside a cluster."""
    app = web.Application()
    app.router.add_get(METRICS.path, lambda request: _metrics(service, request))
    app.on_response_prepare.append(_sign)
    return await _listen(app, service.settings, "metrics_port", None)


async def _listen(app: web.Application, settings: Settings, field: str,
                  tls: ssl.SSLContext | None) -> tuple[web.AppRunner, int]:
    runner = web.AppRunner(app, shutdown_timeout=settings.grace, handler_cancellation=True)
    await runner.setup()
    port = getattr(settings, field)
    try:
        # aiohttp's keep-alive timeout also closes connections that never send a first request
        await Site(runner, settings.host, port, tls, access_log=access_log.log,
                   access_log_class=access_log.HttpAccess, keepalive_timeout=settings.receive_timeout,
                   lingering_time=min(LINGER_SECONDS, settings.receive_timeout), auto_decompress=False).start()
    except OSError as error:
        await runner.cleanup()
        option = f"--{field.replace('_', '-')}"
        raise ServeError(f"{option} {port}: {settings.host} cannot be bound: {error.strerror}; {option} 0 takes any free "
                         "one") from None
    return runner, runner.addresses[0][1]


def _measured(service: Service, route: Route, handler: RouteHandler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def action(request: web.Request) -> web.Response:
        if route.admin and service.keys and not service.keys.allows_admin(request.headers.get("Authorization")):
            raise ServiceError(Kind.FORBIDDEN, ADMIN_WANTED)
        if route.admin:
            _require_json(request)
        if route.keyless:       # probes are answered under any load
            return await handler(service, request)
        with service.budget.hold() as holding:
            request[HOLDING] = holding
            return await handler(service, request)

    async def answer(request: web.Request) -> web.Response:
        try:
            return await service.measured("http", route.name, lambda: action(request))
        except ServiceError as error:
            return _failure(error)

    return answer


def _require_json(request: web.Request) -> None:
    """Raises ``ServiceError`` for a content type of ``PAGE_TYPES``."""
    given = request.headers.get("Content-Type")
    if given is not None and request.content_type in PAGE_TYPES:
        raise ServiceError(Kind.MEDIA_TYPE, f"Content-Type {given[:100]!r}: send application/json")


def _guard(service: Service, keyless: set[str], known: str) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
        """Rejects cross-origin requests and requests without a valid key before reading their body; answers
        unknown paths in JSON."""
        request[IDENTIFIER] = request_ids.begin(request.headers.get(request_ids.HEADER))
        if service.keys is None and (reason := _foreign(request, service.settings)):
            return _failure(ServiceError(Kind.FORBIDDEN, reason))
        if service.keys and request.path not in keyless and not service.keys.allows(request.headers.get("Authorization")):
            service.metrics.requests.labels("http", "unauthenticated", Kind.UNAUTHENTICATED.grpc).inc()
            return _failure(ServiceError(Kind.UNAUTHENTICATED, "a key is needed: header Authorization with the value Bearer "
                                                               "KEY, or the bare KEY"))
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _failure(ServiceError(Kind.NOT_FOUND, f"no {request.path[:200]!r} here; there are {known}"))
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            return error_response(405, f"{request.method} does not fit {request.path[:200]!r}; allowed: {allowed}",
                                  {"Allow": allowed})

    return guard


def _foreign(request: web.Request, settings: Settings) -> str:
    """Why a request to a service without keys is refused: a browser on this machine may send it for a foreign page.

    The browser sends the page's origin; and if a foreign host name resolves to the loopback address (DNS rebinding), the
    request's Host header still has that name.
    """
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    if is_loopback(settings.host) and not _is_own(host, settings):
        return f"Host {host[:100]!r}: this service is on the loopback only, and has no such name; ask for {settings.host}"
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
        return f"Origin {origin[:100]!r}: pages from elsewhere may ask only where the service has keys (--keys-file)"
    return ""


def _is_own(host: str, settings: Settings) -> bool:
    """Whether a host name can only mean this machine."""
    if host == settings.host or is_loopback(host):
        return True
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return not host     # HTTP/1.0 clients send none, and browsers never use HTTP/1.0


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def _failure(error: ServiceError) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.kind is Kind.UNAUTHENTICATED else {}
    headers |= {"Retry-After": "1"} if error.kind.http == 503 else {}
    response = error_response(error.kind.http, str(error), headers)
    if error.kind is Kind.SLOW:
        response.force_close()
    return response
