"""The gRPC server: the methods of every protocol, keys, TLS and limits."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import grpc

from arrayloom.host.serving.core import access_log
from arrayloom.host.serving.core.grpc_messages import largest, next_of_dialog, parse, receive, small
from arrayloom.host.serving.core.open_files import grpc_connections
from arrayloom.host.serving.core.protocol import (
    ADMIN_WANTED,
    GATEWAY_HEADER,
    GATEWAY_PREFIX,
    Call,
    Method,
    MethodHandler,
    Protocol,
)
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.core.tls import Certificate
from arrayloom.host.serving.errors import Kind, ServeError, ServiceError

LONGEST_ERROR = 2000
"""Most characters of an error's text: it is sent in a header, and clients accept 8 KiB of headers."""

KEY_WANTED = "a key is needed: metadata authorization with the value Bearer KEY, or the bare KEY"

IDLE_SECONDS = 300
"""After this time without a call a connection is closed; clients connect again when they need it."""

MORE_CALLS = 256
"""Concurrent calls in addition to those that may wait in the queue."""


def create(service: Service, protocols: Sequence[Protocol], certificate: Certificate | None) -> tuple[Any, int]:
    """A bound but not yet started server, and its port; raises ``ServeError`` if the port cannot be bound."""
    settings = service.settings
    guards = [_KeyGuard(service, [method for protocol in protocols for method in protocol.methods])] if service.keys else []
    server = grpc.aio.server(interceptors=guards,
                             options=_options(settings), maximum_concurrent_rpcs=settings.queue + MORE_CALLS)
    server.add_generic_rpc_handlers(_handlers(service, protocols))
    address = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    try:
        credentials = _credentials(certificate)
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise ServeError(f"--port {settings.port}: {settings.host} cannot be bound, the port is taken or the address is not "
                         "this machine's; --port 0 takes any free one")
    return server, port


def _handlers(service: Service, protocols: Sequence[Protocol]) -> list[Any]:
    """One generic handler for each gRPC service."""
    methods = {method: answer for protocol in protocols for method, answer in protocol.methods.items()}
    services = tuple(dict.fromkeys(method.service for method in methods))
    return [grpc.method_handlers_generic_handler(name, {
        method.name: _handler(service, method, answer, services)
        for method, answer in methods.items() if method.service == name}) for name in services]


def _handler(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Any:
    """Every method is a streaming method to gRPC: the handler then reads each message itself, after reserving memory for
    it."""
    if method.dialog:
        return grpc.stream_stream_rpc_method_handler(_conversing(service, method, answer, services), None, _serialized)
    if method.stream:
        return grpc.stream_stream_rpc_method_handler(_streaming(service, method, answer, services), None, _serialized)
    make = _counted if method.counted else _uncounted
    return grpc.stream_unary_rpc_method_handler(make(service, method, answer, services), None, _serialized)


def _serialized(message: Any) -> bytes:
    return message.SerializeToString()


def _counted(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(_: Any, context: Any) -> Any:
        async def action() -> Any:
            _check_gateway(service, context)
            if not method.reader:
                return await answer(service, await small(service, method, context), Call(context, services))
            with service.budget.hold() as holding:
                asked = await service.read(method.reader, await receive(service, context, holding), {}, holding)
                return await answer(service, asked, Call(context, services))

        with access_log.grpc_call(method.path, context) as outcome:
            try:
                return await service.measured("grpc", method.name, action)
            except ServiceError as error:
                outcome.code, refusal = error.kind.grpc, _refusal(error)
            return await context.abort(*refusal)

    return handle


def _uncounted(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(_: Any, context: Any) -> Any:
        with access_log.grpc_call(method.path, context) as outcome:
            try:
                return await answer(service, await small(service, method, context), Call(context, services))
            except ServiceError as error:
                outcome.code, refusal = error.kind.grpc, _refusal(error)
            return await context.abort(*refusal)

    return handle


def _streaming(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(_: Any, context: Any) -> AsyncIterator[Any]:
        with access_log.grpc_call(method.path, context) as outcome:
            try:
                async for response in answer(service, await small(service, method, context), Call(context, services)):
                    yield response
                return
            except ServiceError as error:
                outcome.code, refusal = error.kind.grpc, _refusal(error)
            await context.abort(*refusal)

    return handle


def _conversing(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    """Answers requests one by one; each is answered before the next is read."""
    async def one(context: Any, data: bytes) -> Any:
        call = Call(context, services)
        if not method.reader:
            return await answer(service, parse(method, data), call)
        with service.budget.hold() as holding:
            return await answer(service, await service.read(method.reader, data, {}, holding), call)

    async def handle(_: Any, context: Any) -> AsyncIterator[Any]:
        with access_log.grpc_call(method.path, context) as outcome:
            try:
                _check_gateway(service, context)
                streams = service.dialogs if method.reader else service.small_streams
                with streams.one():
                    while (data := await next_of_dialog(service, context, streams)) is not None:
                        response = await _answered(service, method, partial(one, context, data))
                        del data        # release it now, not when the next one arrives
                        yield response
                    return
            except ServiceError as error:
                outcome.code, refusal = error.kind.grpc, _refusal(error)
            await context.abort(*refusal)

    return handle


async def _answered(service: Service, method: Method, action: Callable[[], Any]) -> Any:
    try:
        return await (service.measured("grpc", method.name, action) if method.counted else action())
    except ServiceError as error:
        if method.failure is None:
            raise
        return method.failure(str(error)[:LONGEST_ERROR])


def _refusal(error: ServiceError) -> tuple[Any, str]:
    """The status and text that the client gets. A call keeps the exception that aborts it, so this is not the error itself,
    whose traceback would keep the message alive."""
    return grpc.StatusCode[error.kind.grpc], str(error)[:LONGEST_ERROR]


def _check_gateway(service: Service, context: Any) -> None:
    """Refuses calls meant for another service: clients of the original service name it in a header."""
    for key, value in context.invocation_metadata() or ():
        if key == GATEWAY_HEADER and value != GATEWAY_PREFIX + service.settings.name:
            raise ServiceError(Kind.NOT_FOUND,
                               f"{GATEWAY_HEADER} {str(value)[:200]!r}: this service is {service.settings.name}")


def _credentials(certificate: Certificate | None) -> Any:
    """TLS credentials that read the current certificate for each new connection."""
    if certificate is None:
        return None
    seen = [certificate.current()]

    def configuration() -> Any:
        return grpc.ssl_server_certificate_configuration([(seen[0].key, seen[0].chain)])

    def renewed() -> Any:
        """The new certificate; None if it has not changed."""
        if (pair := certificate.current()) is seen[0]:
            return None
        seen[0] = pair
        return configuration()

    return grpc.dynamic_ssl_server_credentials(configuration(), renewed)


def _options(settings: Settings) -> list[tuple[str, int]]:
    milliseconds = int(1000 * settings.receive_timeout)
    return [("grpc.max_receive_message_length", largest(settings)),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 14),
            ("grpc.so_reuseport", 0),
            ("grpc.max_allowed_incoming_connections", grpc_connections()),     # others are closed at once
            ("grpc.max_connection_idle_ms", 1000 * IDLE_SECONDS),
            ("grpc.server_handshake_timeout_ms", milliseconds),
            ("grpc.keepalive_time_ms", milliseconds),
            ("grpc.keepalive_timeout_ms", milliseconds),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1)]


class _KeyGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Rejects calls without a valid key before their message is read."""

    def __init__(self, service: Service, methods: Sequence[Method]) -> None:
        self._service = service
        self._keyless = {method.path for method in methods if method.keyless}
        self._admin = {method.path for method in methods if method.admin}

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        assert self._service.keys is not None
        given = next((value for key, value in details.invocation_metadata or () if key == "authorization"), None)
        if details.method in self._keyless:
            return await continuation(details)
        if not self._service.keys.allows(given):
            return self._refuse(details.method, Kind.UNAUTHENTICATED, KEY_WANTED)
        if details.method in self._admin and not self._service.keys.allows_admin(given):
            return self._refuse(details.method, Kind.FORBIDDEN, ADMIN_WANTED)
        return await continuation(details)

    def _refuse(self, path: str, kind: Kind, reason: str) -> Any:
        """A handler that fails without reading the message."""
        self._service.metrics.requests.labels("grpc", "unauthenticated", kind.grpc).inc()

        async def refuse(_: Any, context: Any) -> None:
            with access_log.grpc_call(path, context) as outcome:
                outcome.code = kind.grpc
                await context.abort(grpc.StatusCode[kind.grpc], reason)

        return grpc.stream_unary_rpc_method_handler(refuse)
