"""The Open Inference Protocol over HTTP, with binary tensors, classification and Triton's extensions."""

import json
from typing import Any

from aiohttp import web

from arrayloom.host.serving.core.about import SERVER, VERSION
from arrayloom.host.serving.core.http_server import HOLDING
from arrayloom.host.serving.core.protocol import TIMING
from arrayloom.host.serving.core.result import Result
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols.open_inference import JSON_LENGTH, extensions, tensors
from arrayloom.host.serving.protocols.open_inference.reading import HTTP
from arrayloom.host.serving.protocols.open_inference.semantics import (
    EXTENSIONS,
    PLATFORM,
    check_unload,
    classify,
    describe,
    find,
    index,
    is_ready,
    known,
    refuse_parameters,
    split_version,
    timeout,
)

BINARY_TYPE = "application/octet-stream"


async def server_metadata(_: Service, __: web.Request) -> web.Response:
    return web.json_response({"name": SERVER, "version": VERSION, "extensions": EXTENSIONS})


async def live(_: Service, __: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def ready(service: Service, _: web.Request) -> web.Response:
    """503 Answers 503 while no device holds the model, and while the service stops."""
    return web.json_response({"ready": service.ready}, status=200 if service.ready else 503)


async def model_ready(service: Service, request: web.Request) -> web.Response:
    model = known(service, *_named(request))
    answer = is_ready(service, model)
    return web.json_response({"name": model.name, "ready": answer}, status=200 if answer else 503)


async def model_metadata(service: Service, request: web.Request) -> web.Response:
    model = find(service, *_named(request))
    return web.json_response({
        "name": model.name, "platform": PLATFORM,
        "versions": [str(other.version) for other in service.repository.versions(model.name)],
        "inputs": [describe(port) for port in model.inputs], "outputs": [describe(port) for port in model.outputs]})


async def repository_index(service: Service, request: web.Request) -> web.Response:
    body = await bodies.read_small(request, service.settings)
    return web.json_response(list(index(service, only_ready=body.get("ready") is True)))


async def load(service: Service, request: web.Request) -> web.Response:
    """Answers when the model is on the device."""
    refuse_parameters(await _parameters(service, request))
    await service.load(*split_version(request.match_info["name"]))
    return web.json_response({})


async def unload(service: Service, request: web.Request) -> web.Response:
    """Answers when the model accepts no more requests and another one has replaced it on the device."""
    name = request.match_info["name"]
    check_unload(name, await _parameters(service, request))
    await service.unload(*split_version(name))
    return web.json_response({})


async def model_config(service: Service, request: web.Request) -> web.Response:
    return web.json_response(extensions.config(service, find(service, *_named(request))))


async def model_statistics(service: Service, request: web.Request) -> web.Response:
    return web.json_response(extensions.statistics(service, extensions.chosen(service, *_named(request))))


async def _parameters(service: Service, request: web.Request) -> dict[str, Any]:
    """The parameters in the body of a load or unload request."""
    parameters = (await bodies.read_small(request, service.settings)).get("parameters", {})
    if not isinstance(parameters, dict):
        raise ServiceError(Kind.INVALID, "parameters: must be an object")
    return parameters


async def infer(service: Service, request: web.Request) -> web.Response:
    model = find(service, *_named(request))
    facts = {"encoding": bodies.encoding(request), "json_length": request.headers.get(JSON_LENGTH),
             "json_header": JSON_LENGTH}
    asked = await service.read(HTTP, await bodies.read(request, service.settings), facts, request[HOLDING])
    parameters, wanted = asked.fields["parameters"], asked.fields["outputs"]
    checked = service.request(model, asked.inputs, [output["name"] for output in wanted])
    result = await service.infer(checked, timeout(parameters.get("timeout"), None))
    identifier = asked.fields["id"]
    result.log("http-v2", identifier)
    head = {"model_name": model.name, "model_version": str(model.version)} | ({"id": identifier} if identifier else {})
    options = {output["name"]: output["parameters"] for output in wanted}
    return _response(head, result, options, binary_default=parameters.get("binary_data_output") is True)


def _named(request: web.Request) -> tuple[str, str]:
    """Name and version in the path; empty if missing."""
    return request.match_info.get("name", ""), request.match_info.get("version", "")


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
