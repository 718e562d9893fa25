"""TensorFlow Serving's REST, version 1: status, metadata, predict."""

from typing import Any

from aiohttp import web

from arrayloom.host.serving.core.http_server import HOLDING
from arrayloom.host.serving.core.protocol import TIMING
from arrayloom.host.serving.core.repository import parse_version
from arrayloom.host.serving.core.result import Result
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols.tensorflow.messages import SIGNATURE_FIELD, tfs
from arrayloom.host.serving.protocols.tensorflow.reading import HTTP
from arrayloom.host.serving.protocols.tensorflow.semantics import SIGNATURES_TYPE, check_signature, signatures, versions

_TYPES = {number: name for name, number in tfs.DataType.items()}


async def status(service: Service, request: web.Request) -> web.Response:
    """The state of one version, or of all."""
    chosen = versions(service, *_named(request))
    return web.json_response({"model_version_status": [
        {"version": str(model.version), "state": service.state(model), "status": {"error_code": "OK", "error_message": ""}}
        for model in reversed(chosen)]})


async def metadata(service: Service, request: web.Request) -> web.Response:
    """The signatures in protobuf's JSON form."""
    model = _model(service, request)
    definitions = {name: {"inputs": _infos(signature.inputs), "outputs": _infos(signature.outputs),
                          "method_name": signature.method_name}
                   for name, signature in signatures(model).signature_def.items()}
    return web.json_response({"model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
                              "metadata": {SIGNATURE_FIELD: {"@type": SIGNATURES_TYPE, SIGNATURE_FIELD: definitions}}})


async def predict(service: Service, request: web.Request) -> web.Response:
    """Row format (``instances``) or columnar format (``inputs``), answered in the same format."""
    model = _model(service, request)
    facts = {"encoding": bodies.encoding(request), "model": model.name,
             "dtypes": {port.name: port.dtype.str for port in model.inputs}}
    asked = await service.read(HTTP, await bodies.read(request, service.settings), facts, request[HOLDING])
    check_signature(model, asked.fields["signature"])
    result = await service.infer(service.request(model, asked.inputs, []))
    result.log("http-v1")
    content = {"predictions": _predictions(result)} if asked.fields["rows"] else {"outputs": _outputs(result)}
    return web.json_response(content, headers={TIMING: result.timing()})


def _model(service: Service, request: web.Request) -> Model:
    return service.find(*_named(request))


def _named(request: web.Request) -> tuple[str, int | None, str]:
    """Model name, version and version label in the path."""
    found = request.match_info
    return found["name"], parse_version(found.get("version", "")), found.get("label", "")


def _infos(infos: Any) -> dict[str, Any]:
    return {name: {"name": info.name, "dtype": _TYPES[info.dtype], "tensor_shape": {
        "dim": [{"size": str(dim.size), "name": ""} for dim in info.tensor_shape.dim], "unknown_rank": False}}
        for name, info in infos.items()}


def _outputs(result: Result) -> Any:
    values = {name: array.tolist() for name, array in result.outputs.items()}
    return values if len(values) > 1 else next(iter(values.values()))


def _predictions(result: Result) -> list[Any]:
    columns = {name: array.tolist() for name, array in result.outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
