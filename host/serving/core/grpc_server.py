"""The gRPC server: the methods of every protocol, keys, TLS and limits."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.memory import Holding
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
from arrayloom.host.serving.core.settings import MIB, Settings
from arrayloom.host.serving.core.tls import Certificate
from arrayloom.host.serving.errors import Kind, ServeError, ServiceError

SMALL = 1 << 16
"""Bytes of a message that holds no tensors."""

COPIES = 2
"""How often gRPC holds a message at the moment at which it hands it over."""

AT_ONCE = 0.1
"""Seconds in which a message may arrive before memory is set aside for the largest one: enough for any but large ones."""


LONGEST_ERROR = 2000
"""Characters of an error's text; it travels in a header, of which clients take 8 KiB."""

KEY_WANTED = "a key is needed: metadata authorization with the value Bearer KEY, or the bare KEY"

MORE_CALLS = 256
"""Calls at a time beside those that may wait in the queue."""


def create(service: Service, protocols: Sequence[Protocol], certificate: Certificate | None) -> tuple[Any, int]:
    """A server that is bound but not started, and its port; raises ``ServeError`` when the port cannot be had."""
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
    """Handlers read messages themselves, as those of streams may: so that nothing is read before there is memory for it."""
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
                return await answer(service, await _small(service, method, context), Call(context, services))
            with service.budget.hold() as holding:
                asked = await service.read(method.reader, await _receive(service, context, holding), {}, holding)
                return await answer(service, asked, Call(context, services))

        try:
            return await service.measured("grpc", method.name, action)
        except ServiceError as error:
            refusal = _refusal(error)
        return await context.abort(*refusal)

    return handle


def _uncounted(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(_: Any, context: Any) -> Any:
        try:
            return await answer(service, await _small(service, method, context), Call(context, services))
        except ServiceError as error:
            refusal = _refusal(error)
        return await context.abort(*refusal)

    return handle


def _streaming(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(_: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in answer(service, await _small(service, method, context), Call(context, services)):
                yield response
            return
        except ServiceError as error:
            refusal = _refusal(error)
        await context.abort(*refusal)

    return handle


async def _small(service: Service, method: Method, context: Any) -> Any:
    """The message of a method that takes no tensors, such as a probe: it is answered whatever others hold."""
    with service.budget.hold(0) as holding:
        return _parse(method, await _receive(service, context, holding))


async def _receive(service: Service, context: Any, holding: Holding) -> bytes:
    """The bytes of a call's message; raises ``ServiceError`` where they are too slow, or others hold the memory for them.

    How large a message is shows only when it is there. Memory for the largest is set aside while one arrives that takes its
    time, so that calls which send slowly, or never, do not hold up those that send small messages.
    """
    settings = service.settings
    reading = asyncio.ensure_future(context.read())
    try:
        done, _ = await asyncio.wait({reading}, timeout=AT_ONCE)
        if not done:
            holding.message(COPIES * _largest(settings))
            done, _ = await asyncio.wait({reading}, timeout=settings.receive_timeout)
        if not done:
            raise ServiceError(Kind.SLOW, f"the message did not arrive within {settings.receive_timeout} s")
        data = reading.result()
    finally:
        reading.cancel()
    if not isinstance(data, bytes):
        raise ServiceError(Kind.INVALID, "the call ended without a message")
    return data


def _refusal(error: ServiceError) -> tuple[Any, str]:
    """What an error is to the client. The call keeps what it is aborted by, so this must not be the error itself, whose
    traceback holds the message."""
    return grpc.StatusCode[error.kind.grpc], str(error)[:LONGEST_ERROR]


def _parse(method: Method, data: bytes) -> Any:
    """A small message from its bytes; raises ``ServiceError`` when it is malformed or larger than such are."""
    if len(data) > SMALL:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; {method.name} takes {SMALL} at most")
    try:
        return method.request.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {method.request.DESCRIPTOR.name} is expected") from None


def _largest(settings: Settings) -> int:
    """Bytes up to which gRPC takes a message, so that the handler can say what is wrong with one a little too large."""
    return settings.max_message + MIB


def _check_gateway(service: Service, context: Any) -> None:
    """Clients of the original service name the service in a header; another service's requests are not for this one."""
    for key, value in context.invocation_metadata() or ():
        if key == GATEWAY_HEADER and value != GATEWAY_PREFIX + service.settings.name:
            raise ServiceError(Kind.NOT_FOUND,
                               f"{GATEWAY_HEADER} {str(value)[:200]!r}: this service is {service.settings.name}")


def _credentials(certificate: Certificate | None) -> Any:
    """With the certificate as it is when a client connects."""
    if certificate is None:
        return None
    seen = [certificate.current()]

    def configuration() -> Any:
        return grpc.ssl_server_certificate_configuration([(seen[0].key, seen[0].chain)])

    def renewed() -> Any:
        """None where it is still the same."""
        if (pair := certificate.current()) is seen[0]:
            return None
        seen[0] = pair
        return configuration()

    return grpc.dynamic_ssl_server_credentials(configuration(), renewed)


def _options(settings: Settings) -> list[tuple[str, int]]:
    milliseconds = int(1000 * settings.receive_timeout)
    return [("grpc.max_receive_message_length", _largest(settings)),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 14),
            ("grpc.so_reuseport", 0),
            ("grpc.server_handshake_timeout_ms", milliseconds),
            ("grpc.keepalive_time_ms", milliseconds),
            ("grpc.keepalive_timeout_ms", milliseconds),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1)]


class _KeyGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without a valid key before their message is read."""

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
            return self._refuse(Kind.UNAUTHENTICATED, KEY_WANTED)
        if details.method in self._admin and not self._service.keys.allows_admin(given):
            return self._refuse(Kind.FORBIDDEN, ADMIN_WANTED)
        return await continuation(details)

    def _refuse(self, kind: Kind, reason: str) -> Any:
        """A handler that does not read the message."""
        self._service.metrics.requests.labels("grpc", "unauthenticated", kind.grpc).inc()

        async def refuse(_: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode[kind.grpc], reason)

        return grpc.stream_unary_rpc_method_handler(refuse)
