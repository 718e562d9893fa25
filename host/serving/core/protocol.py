"""gRPC handlers made of methods: bytes in, message out, errors as status codes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from arrayloom.host.serving.core.calls import call as measured
from arrayloom.host.serving.core.calls import parse
from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.service import Service

ROUTE_KEY = "x-ms-aml-grpc-service-route"
ROUTE = "/api/v1/service/"


class Call:
    """What a method may know of its call: ``seconds`` until the client's deadline, or None."""

    def __init__(self, context: Any) -> None:
        self._context = context

    @property
    def seconds(self) -> float | None:
        return self._context.time_remaining()

    def timing(self, text: str) -> None:
        """Tells the client where the time went, as trailing metadata."""
        self._context.set_trailing_metadata((("server-timing", text),))


Method = Callable[[Any, Call], Awaitable[Any]]
Methods = Mapping[str, tuple[Any, Method]]
"""By method: the class of the request's message, and what answers it."""


def handler(service: Service, path: str, methods: Methods) -> Any:
    """The generic handler of one gRPC service."""
    return grpc.method_handlers_generic_handler(path, {
        name: grpc.unary_unary_rpc_method_handler(_unary(service, name, message, method),
                                                  response_serializer=lambda response: response.SerializeToString())
        for name, (message, method) in methods.items()})


def _unary(service: Service, name: str, message: Any, method: Method) -> Any:
    async def answer(data: bytes, context: Any) -> Any:
        async def action() -> Any:
            _check_route(service, context)
            return await method(parse(message, data, service.settings.max_message), Call(context))

        try:
            return await measured(service, "grpc", name, action)
        except ServiceError as error:
            await context.abort(status_code(error.kind), str(error))

    return answer


def status_code(kind: Kind) -> Any:
    return grpc.StatusCode[kind.grpc]


def _check_route(service: Service, context: Any) -> None:
    """Clients of the original service name the service in a header; another service's requests are not for this one."""
    for key, value in context.invocation_metadata() or ():
        if key == ROUTE_KEY and value != ROUTE + service.settings.name:
            raise ServiceError(Kind.NOT_FOUND, f"{ROUTE_KEY} {str(value)[:200]!r}: this service is {service.settings.name}")
