"""gRPC's standard health check: Check and Watch."""

import asyncio
from typing import Any

import grpc

from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.protocols.messages import health

SERVICES = ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "inference.GRPCInferenceService")
WATCH_SECONDS = 0.2


def handler(service: Service) -> Any:
    """The generic handler of ``grpc.health.v1.Health``."""
    async def check(request: Any, context: Any) -> Any:
        if request.service not in SERVICES:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"service {request.service[:100]!r} is unknown; known: "
                                                           f"{', '.join(SERVICES[1:])}")
        return health.HealthCheckResponse(status=_status(service, request.service))

    async def watch(request: Any, _: Any) -> Any:
        last = None
        while not service.stopping:
            if (status := _status(service, request.service)) != last:
                last = status
                yield health.HealthCheckResponse(status=status)
            await asyncio.sleep(WATCH_SECONDS)
        yield health.HealthCheckResponse(status=_status(service, request.service))

    def serializer(message: Any) -> bytes:
        return message.SerializeToString()

    parser = health.HealthCheckRequest.FromString
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {
        "Check": grpc.unary_unary_rpc_method_handler(check, parser, serializer),
        "Watch": grpc.unary_stream_rpc_method_handler(watch, parser, serializer)})


def _status(service: Service, name: str) -> int:
    if name not in SERVICES:
        return health.ServingStatus["SERVICE_UNKNOWN"]
    return health.ServingStatus["SERVING" if service.ready else "NOT_SERVING"]
