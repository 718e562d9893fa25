"""The registry: the methods and routes fixed by the public protocols, and servers that take any entry."""

import asyncio
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from checkout import ROOT

from arrayloom.host.serving.core import grpc_server, http_server
from arrayloom.host.serving.core.protocol import Call, Method, Protocol, Route
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.health.protocol import HEALTH, health
from arrayloom.host.serving.protocols.open_inference.protocol import OPEN_INFERENCE
from arrayloom.host.serving.protocols.page.protocol import PAGE
from arrayloom.host.serving.protocols.reflection.protocol import REFLECTION
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.serving.protocols.tensorflow.protocol import TENSORFLOW

METHODS = {
    TENSORFLOW.name: [
        "/tensorflow.serving.PredictionService/Predict",
        "/tensorflow.serving.PredictionService/GetModelMetadata",
        "/tensorflow.serving.ModelService/GetModelStatus",
        "/tensorflow.serving.ModelService/HandleReloadConfigRequest"],
    OPEN_INFERENCE.name: [f"/inference.GRPCInferenceService/{name}" for name in (
        "ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer",
        "ModelStreamInfer", "ModelConfig", "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad",
        "RepositoryModelUnload")],
    HEALTH.name: ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"],
    PAGE.name: [],
    REFLECTION.name: [f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1alpha", "v1")],
}
ROUTES = {
    TENSORFLOW.name: [
        ("GET", "/v1/models/M", "/v1/models/M/versions/3", "status"),
        ("GET", "/v1/models/M/metadata", "/v1/models/M/versions/3/metadata", "metadata"),
        ("POST", "/v1/models/M:predict", "/v1/models/M/versions/3:predict", "predict")],
    OPEN_INFERENCE.name: [
        ("GET", "/v2", "/v2", "server_metadata"),
        ("GET", "/v2/health/live", "/v2/health/live", "live"),
        ("GET", "/v2/health/ready", "/v2/health/ready", "ready"),
        ("POST", "/v2/repository/index", "/v2/repository/index", "index"),
        ("POST", "/v2/repository/models/M/load", "/v2/repository/models/M/load", "load"),
        ("POST", "/v2/repository/models/M/unload", "/v2/repository/models/M/unload", "unload"),
        ("GET", "/v2/models/stats", "/v2/models/stats", "statistics"),
        ("GET", "/v2/models/M/stats", "/v2/models/M/versions/3/stats", "statistics"),
        ("GET", "/v2/models/M/config", "/v2/models/M/versions/3/config", "config"),
        ("GET", "/v2/models/M", "/v2/models/M/versions/3", "model_metadata"),
        ("GET", "/v2/models/M/ready", "/v2/models/M/versions/3/ready", "model_ready"),
        ("POST", "/v2/models/M/infer", "/v2/models/M/versions/3/infer", "infer")],
    HEALTH.name: [],
    PAGE.name: [
        ("GET", "/", "/", "page"), ("GET", "/page/models", "/page/models", "page_models"),
        ("POST", "/page/models/M/look", "/page/models/M/versions/3/look", "look")],
    REFLECTION.name: [],
}


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)
def test_methods_and_routes_are_the_public_ones(protocol: Protocol) -> None:
    assert [method.path for method in protocol.methods] == METHODS[protocol.name]
    assert [(route.verb, route.at("M"), route.at("M", 3), route.name) for route in protocol.routes] == ROUTES[protocol.name]


def test_versions_have_labels_where_tensorflow_serving_has_them() -> None:
    assert [route.paths[-1] for route in TENSORFLOW.routes] == [
        "/v1/models/{name}/labels/{label}", "/v1/models/{name}/labels/{label}/metadata",
        "/v1/models/{name}/labels/{label}:predict"]


def test_what_needs_no_key() -> None:
    methods = [method.path for protocol in PROTOCOLS for method in protocol.methods if method.keyless]
    routes = [route.path for protocol in PROTOCOLS for route in protocol.routes if route.keyless]
    assert methods == ["/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady",
                       "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"]
    assert routes == ["/v2/health/live", "/v2/health/ready", "/"]


def test_the_documentation_names_them_all() -> None:
    text = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
    for protocol in PROTOCOLS:
        assert all(method.name in text for method in protocol.methods)
        assert all(route.path.split("{")[0].rstrip("/") in text and route.path.split("}")[-1].lstrip("]") in text
                   for route in protocol.routes)


@pytest.mark.parametrize("path", sorted((ROOT / "host" / "serving" / "core").glob("*.py")), ids=lambda path: path.stem)
def test_the_core_knows_no_protocol(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in ("serving.protocols", "/v1/models", "/v2/", "tensorflow.serving", "GRPCInferenceService", "grpc.health"):
        assert word not in text


ECHO = Method("toy.Echo", "Say", health.HealthCheckRequest, health.HealthCheckResponse)
SHOUT = Route("GET", "/toy/{name}[/versions/{version}]!", "shout")


async def _say(_: Service, message: Any, call: Call) -> Any:
    if message.service == "unknown":
        raise ServiceError(Kind.NOT_FOUND, f"known: {', '.join(call.services)}")
    return health.HealthCheckResponse(status=2)


async def _shout(_: Service, request: Any) -> Any:
    return web.json_response(dict(request.match_info))


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        return response.read()


def test_a_further_protocol_is_an_entry() -> None:
    """Both servers serve a protocol unknown to them, and count its requests."""
    toy = Protocol("toy", {ECHO: _say}, {SHOUT: _shout})
    model = Model("a", 1, Path("a"), (), (), None, None, "tiny")

    async def scenario() -> None:
        service = Service([model], Settings(port=0, http_port=0), None, "", {}, "")
        server, port = grpc_server.create(service, (toy,), None)
        runner, http_port = await http_server.start(service, (toy,), None)
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(ECHO.path)
            assert await call(b"") == b"\x08\x02"
            with pytest.raises(grpc.aio.AioRpcError, match=r"known: toy\.Echo") as refused:
                await call(health.HealthCheckRequest(service="unknown").SerializeToString())
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        for path, answer in ((SHOUT.at("m"), b'{"name": "m"}'), (SHOUT.at("m", 3), b'{"name": "m", "version": "3"}')):
            assert await asyncio.to_thread(_get, f"http://127.0.0.1:{http_port}{path}") == answer
        metrics = await asyncio.to_thread(_get, f"http://127.0.0.1:{http_port}{http_server.METRICS.path}")
        assert b'arrayloom_requests_total{code="OK",method="Say",protocol="grpc"} 1.0' in metrics
        assert b'arrayloom_requests_total{code="OK",method="shout",protocol="http"} 2.0' in metrics
        await server.stop(None)
        await runner.cleanup()

    asyncio.run(scenario())
