"""The Open Inference Protocol over HTTP, with binary tensors, classification and the model repository."""

import json
from typing import Any

from aiohttp import web

from arrayloom.host.serving.core.protocol import TIMING
from arrayloom.host.serving.core.served_model import Model, parse_version
from arrayloom.host.serving.core.service import Result, Service
from arrayloom.host.serving.errors import Kind, MessageError, ServiceError
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols.arrays import from_json, of_input
from arrayloom.host.serving.protocols.open_inference import JSON_LENGTH, tensors
from arrayloom.host.serving.protocols.open_inference.semantics import (
    EXTENSIONS,
    PLATFORM,
    SERVER,
    VERSION,
    classify,
    describe,
    index,
    is_ready,
    split_version,
    timeout,
)

BINARY_TYPE = "application/octet-stream"


async def server_metadata(_: Service, __: web.Request) -> web.Response:
    return web.json_response({"name": SERVER, "version": VERSION, "extensions": EXTENSIONS})


async def live(_: Service, __: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def ready(service: Service, _: web.Request) -> web.Response:
    """503 while no device holds the model, and once the service stops."""
    return web.json_response({"ready": service.ready}, status=200 if service.ready else 503)


async def model_ready(service: Service, request: web.Request) -> web.Response:
    model = _model(service, request)
    answer = is_ready(service, model)
    return web.json_response({"name": model.name, "ready": answer}, status=200 if answer else 503)


async def model_metadata(service: Service, request: web.Request) -> web.Response:
    model = _model(service, request)
    return web.json_response({
        "name": model.name, "platform": PLATFORM,
        "versions": [str(other.version) for other in service.repository.versions(model.name)],
        "inputs": [describe(port) for port in model.inputs], "outputs": [describe(port) for port in model.outputs]})


async def repository_index(service: Service, request: web.Request) -> web.Response:
    data = await bodies.read(request, service.settings)
    body = bodies.parse(data) if data else {}
    return web.json_response(list(index(service, only_ready=body.get("ready") is True)))


async def load(service: Service, request: web.Request) -> web.Response:
    """Answers when the model is on the device."""
    name, version = split_version(request.match_info["name"])
    await service.load(service.find(name, parse_version(version)))
    return web.json_response({})


async def infer(service: Service, request: web.Request) -> web.Response:
    model = _model(service, request)
    body, binary = _split(await bodies.read(request, service.settings), request.headers.get(JSON_LENGTH))
    parameters = _parameters(body)
    wanted = _list(body, "outputs") if "outputs" in body else []
    inputs = _inputs(_list(body, "inputs"), binary)
    checked = service.request(model, inputs, [bodies.text(output, "name") for output in wanted])
    result = await service.infer(checked, timeout(parameters.get("timeout"), None))
    identifier = bodies.text(body, "id")
    result.log("http-v2", identifier)
    head = {"model_name": model.name, "model_version": str(model.version)} | ({"id": identifier} if identifier else {})
    options = {output["name"]: _parameters(output) for output in wanted}
    return _response(head, result, options, binary_default=parameters.get("binary_data_output") is True)


def _model(service: Service, request: web.Request) -> Model:
    return service.find(request.match_info["name"], parse_version(request.match_info.get("version", "")))


def _split(data: bytes, length: str | None) -> tuple[dict[str, Any], memoryview]:
    """The JSON part of a body and the binary part that follows it."""
    if length is None:
        return bodies.parse(data), memoryview(b"")
    if not (length.isascii() and length.isdigit() and len(length) < 16 and int(length) <= len(data)):
        raise ServiceError(Kind.INVALID, f"{JSON_LENGTH} {length[:100]!r}: must be the length of the body's JSON part, at "
                                         f"most {len(data)}")
    return bodies.parse(data[:int(length)]), memoryview(data)[int(length):]


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = body.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ServiceError(Kind.INVALID, f"{name}: must be a list of objects")
    return values


def _parameters(part: dict[str, Any]) -> dict[str, Any]:
    values = part.get("parameters", {})
    if not isinstance(values, dict):
        raise ServiceError(Kind.INVALID, "parameters: must be an object")
    return values


def _inputs(entries: list[dict[str, Any]], binary: memoryview) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    position = 0
    for entry in entries:
        name = bodies.text(entry, "name")
        size = _parameters(entry).get("binary_data_size", 0)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - position:
            raise ServiceError(Kind.INVALID, f"input {name[:100]!r}: binary_data_size {str(size)[:100]}: "
                                             f"{len(binary) - position} bytes are left in the body")
        if name in inputs:
            raise ServiceError(Kind.INVALID, f"input {name[:100]!r} is given twice")
        inputs[name] = _array(name, entry, bytes(binary[position:position + size]))
        position += size
    if position != len(binary):
        raise ServiceError(Kind.INVALID, f"{len(binary) - position} bytes of the body belong to no input")
    return inputs


def _array(name: str, entry: dict[str, Any], content: bytes) -> Any:
    with of_input(name):
        try:
            return _values(entry, content)
        except ValueError:
            raise MessageError(f"data has another number of values than shape {str(entry.get('shape'))[:100]}") from None


def _values(entry: dict[str, Any], content: bytes) -> Any:
    if ("data" in entry) == ("binary_data_size" in _parameters(entry)):
        raise MessageError("give its values as data, or their length as parameters.binary_data_size")
    datatype = entry.get("datatype")
    if "data" not in entry:
        return tensors.from_raw(content, datatype or "", entry.get("shape", []))
    dtype = tensors.numpy_dtype(datatype)
    values = from_json(entry["data"], dtype)
    if (values.dtype.kind == "O") != (dtype.kind == "O"):
        raise MessageError(f"datatype {datatype} does not fit its data; bytes are written as {{\"b64\": ...}}")
    return values.reshape(tensors.check_shape(entry.get("shape")))


def _response(head: dict[str, Any], result: Result, options: dict[str, dict[str, Any]],
              binary_default: bool) -> web.Response:
    entries, blocks = [], []
    for name, values in result.outputs.items():
        wanted = options.get(name, {})
        chosen = classify(values, wanted["classification"], result.model) if "classification" in wanted else values
        entry: dict[str, Any] = {"name": name, "datatype": tensors.datatype(chosen.dtype), "shape": list(chosen.shape)}
        if wanted.get("binary_data", binary_default) is True:
            blocks.append(tensors.to_raw(chosen))
            entry["parameters"] = {"binary_data_size": len(blocks[-1])}
        else:
            flat = chosen.ravel().tolist()
            entry["data"] = [value.decode() for value in flat] if chosen.dtype.kind == "O" else flat
        entries.append(entry)
    text = json.dumps(head | {"outputs": entries}).encode()
    headers = {TIMING: result.timing()}
    if not blocks:
        return web.Response(body=text, content_type="application/json", headers=headers)
    return web.Response(body=b"".join([text, *blocks]), content_type=BINARY_TYPE,
                        headers=headers | {JSON_LENGTH: str(len(text))})
