"""The gRPC server: handlers, keys, TLS and limits."""

from typing import Any

import grpc

from arrayloom.host.serving.core.errors import ServeError
from arrayloom.host.serving.core.secret_files import read_secret
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import MIB, Settings
from arrayloom.host.serving.protocols.grpc_handlers import handler
from arrayloom.host.serving.protocols.health import grpc_api as health
from arrayloom.host.serving.protocols.open_inference import grpc_api as inference
from arrayloom.host.serving.protocols.tensorflow import grpc_api as tensorflow

OPEN_SERVICES = ("/grpc.health.v1.Health/", "/inference.GRPCInferenceService/ServerLive",
                 "/inference.GRPCInferenceService/ServerReady")
"""Probes need no key."""


def create(service: Service) -> tuple[Any, int]:
    """A server that is bound but not started, and its port; raises ``ServeError`` when the port cannot be had."""
    settings = service.settings
    server = grpc.aio.server(interceptors=[_KeyGuard(service)] if service.keys else [], options=_options(settings))
    parts = tensorflow.methods(service) | inference.methods(service)
    server.add_generic_rpc_handlers([*(handler(service, path, methods) for path, methods in parts.items()),
                                     health.handler(service)])
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
    """Refuses calls without a valid key before their message is read."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._refusal = grpc.unary_unary_rpc_method_handler(_refuse)

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        assert self._service.keys is not None
        given = next((value for key, value in details.invocation_metadata or () if key == "authorization"), None)
        if details.method.startswith(OPEN_SERVICES) or self._service.keys.allows(given):
            return await continuation(details)
        self._service.metrics.requests.labels("grpc", "unauthenticated", "UNAUTHENTICATED").inc()
        return self._refusal


async def _refuse(_: bytes, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED,
                        "a key is needed: metadata authorization with the value Bearer KEY, or the bare KEY")
