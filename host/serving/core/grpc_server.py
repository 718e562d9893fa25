"""The gRPC server: the methods of every protocol, keys, TLS and limits."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from arrayloom.host.serving.core.keys import read_secret
from arrayloom.host.serving.core.protocol import GATEWAY_HEADER, GATEWAY_PREFIX, Call, Method, MethodHandler, Protocol
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import MIB, Settings
from arrayloom.host.serving.errors import Kind, ServeError, ServiceError


def create(service: Service, protocols: Sequence[Protocol]) -> tuple[Any, int]:
    """A server that is bound but not started, and its port; raises ``ServeError`` when the port cannot be had."""
    settings = service.settings
    keyless = {method.path for protocol in protocols for method in protocol.methods if method.keyless}
    server = grpc.aio.server(interceptors=[_KeyGuard(service, keyless)] if service.keys else [], options=_options(settings))
    server.add_generic_rpc_handlers(_handlers(service, protocols))
    address = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    try:
        credentials = _credentials(settings)
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
    def serializer(message: Any) -> bytes:
        return message.SerializeToString()

    if method.stream:
        return grpc.unary_stream_rpc_method_handler(_streaming(service, answer, services), method.request.FromString,
                                                    serializer)
    if method.counted:
        return grpc.unary_unary_rpc_method_handler(_counted(service, method, answer, services), None, serializer)
    return grpc.unary_unary_rpc_method_handler(_uncounted(service, answer, services), method.request.FromString, serializer)


def _counted(service: Service, method: Method, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(data: bytes, context: Any) -> Any:
        async def action() -> Any:
            _check_gateway(service, context)
            return await answer(service, _parse(method.request, data, service.settings.max_message), Call(context, services))

        try:
            return await service.measured("grpc", method.name, action)
        except ServiceError as error:
            await _abort(context, error)

    return handle


def _uncounted(service: Service, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(message: Any, context: Any) -> Any:
        try:
            return await answer(service, message, Call(context, services))
        except ServiceError as error:
            await _abort(context, error)

    return handle


def _streaming(service: Service, answer: MethodHandler, services: Sequence[str]) -> Callable[..., Any]:
    async def handle(message: Any, context: Any) -> AsyncIterator[Any]:
        async for response in answer(service, message, Call(context, services)):
            yield response

    return handle


async def _abort(context: Any, error: ServiceError) -> None:
    await context.abort(grpc.StatusCode[error.kind.grpc], str(error))


def _parse(message: Any, data: bytes, limit: int) -> Any:
    """A message from its bytes; raises ``ServiceError`` when it is malformed or larger than ``limit`` bytes."""
    if len(data) > limit:
        raise ServiceError(Kind.INVALID, f"a message of {len(data)} bytes; at most {limit} are accepted")
    try:
        return message.FromString(data)
    except DecodeError:
        raise ServiceError(Kind.INVALID, f"malformed message; a {message.DESCRIPTOR.name} is expected") from None


def _check_gateway(service: Service, context: Any) -> None:
    """Clients of the original service name the service in a header; another service's requests are not for this one."""
    for key, value in context.invocation_metadata() or ():
        if key == GATEWAY_HEADER and value != GATEWAY_PREFIX + service.settings.name:
            raise ServiceError(Kind.NOT_FOUND,
                               f"{GATEWAY_HEADER} {str(value)[:200]!r}: this service is {service.settings.name}")


def _credentials(settings: Settings) -> Any:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return grpc.ssl_server_credentials([(read_secret(settings.tls_key), settings.tls_cert.read_bytes())])


def _options(settings: Settings) -> list[tuple[str, int]]:
    milliseconds = int(1000 * settings.receive_timeout)
    return [("grpc.max_receive_message_length", 2 * settings.max_message + MIB),    # up to here, handlers say what is wrong
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 14),
            ("grpc.so_reuseport", 0),
            ("grpc.server_handshake_timeout_ms", milliseconds),
            ("grpc.keepalive_time_ms", milliseconds),
            ("grpc.keepalive_timeout_ms", milliseconds),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1)]


class _KeyGuard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without a valid key before their message is read. ``keyless``: paths that need none."""

    def __init__(self, service: Service, keyless: set[str]) -> None:
        self._service, self._keyless = service, keyless
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        assert self._service.keys is not None
        given = next((value for key, value in details.invocation_metadata or () if key == "authorization"), None)
        if details.method in self._keyless or self._service.keys.allows(given):
            return await continuation(details)
        self._service.metrics.requests.labels("grpc", "unauthenticated", "UNAUTHENTICATED").inc()
        return self._refusal


async def _refuse(_: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED,
                        "a key is needed: metadata authorization with the value Bearer KEY, or the bare KEY")
