"""The Open Inference Protocol over gRPC, with the model repository extension."""

from typing import Any

from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.served_model import Model, parse_version
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, MessageError, ServiceError
from arrayloom.host.serving.protocols.arrays import of_input
from arrayloom.host.serving.protocols.open_inference import tensors
from arrayloom.host.serving.protocols.open_inference.messages import oip
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


async def live(_: Service, __: Any, ___: Call) -> Any:
    return oip.ServerLiveResponse(live=True)


async def ready(service: Service, _: Any, __: Call) -> Any:
    return oip.ServerReadyResponse(ready=service.ready)


async def model_ready(service: Service, message: Any, _: Call) -> Any:
    return oip.ModelReadyResponse(ready=is_ready(service, _model(service, message.name, message.version)))


async def server_metadata(_: Service, __: Any, ___: Call) -> Any:
    return oip.ServerMetadataResponse(name=SERVER, version=VERSION, extensions=EXTENSIONS)


async def model_metadata(service: Service, message: Any, _: Call) -> Any:
    model = _model(service, message.name, message.version)
    response = oip.ModelMetadataResponse(name=model.name, platform=PLATFORM, versions=[
        str(other.version) for other in service.repository.versions(model.name)])
    for ports, entries in ((model.inputs, response.inputs), (model.outputs, response.outputs)):
        for port in ports:
            entries.add(**describe(port))
    return response


async def infer(service: Service, message: Any, call: Call) -> Any:
    model = _model(service, message.model_name, message.model_version)
    request = service.request(model, _inputs(message), [output.name for output in message.outputs])
    result = await service.infer(request, timeout(_value(message.parameters.get("timeout")), call.seconds))
    call.timing(result.timing())
    result.log("grpc-v2", message.id)
    response = oip.ModelInferResponse(model_name=model.name, model_version=str(model.version), id=message.id)
    counts = {output.name: _value(output.parameters.get("classification")) for output in message.outputs}
    for name, values in result.outputs.items():
        chosen = values if counts.get(name) is None else classify(values, counts[name], model)
        response.outputs.add(name=name, datatype=tensors.datatype(chosen.dtype), shape=chosen.shape)
        response.raw_output_contents.append(tensors.to_raw(chosen))
    return response


async def repository_index(service: Service, message: Any, _: Call) -> Any:
    response = oip.RepositoryIndexResponse()
    for entry in index(service, only_ready=message.ready):
        response.models.add(**entry)
    return response


async def load(service: Service, message: Any, _: Call) -> Any:
    name, version = split_version(message.model_name)
    await service.load(_model(service, name, version))
    return oip.RepositoryModelLoadResponse()


def _model(service: Service, name: str, version: str) -> Model:
    return service.find(name, parse_version(version))


def _inputs(message: Any) -> dict[str, Any]:
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise ServiceError(Kind.INVALID, f"raw_input_contents: {len(raw)} given for {len(message.inputs)} inputs; give one "
                                         "for each, or none")
    inputs: dict[str, Any] = {}
    for position, tensor in enumerate(message.inputs):
        if tensor.name in inputs:
            raise ServiceError(Kind.INVALID, f"input {tensor.name[:100]!r} is given twice")
        inputs[tensor.name] = _array(tensor, raw[position] if raw else None)
    return inputs


def _array(tensor: Any, content: bytes | None) -> Any:
    shape = list(tensor.shape)
    with of_input(tensor.name):
        if content is not None:
            return tensors.from_raw(content, tensor.datatype, shape)
        tensors.numpy_dtype(tensor.datatype)
        if tensor.datatype not in tensors.CONTENTS:
            raise MessageError(f"datatype {tensor.datatype} travels in raw_input_contents only")
        return tensors.from_list(getattr(tensor.contents, tensors.CONTENTS[tensor.datatype]), tensor.datatype, shape)


def _value(parameter: Any) -> Any:
    kind = parameter.WhichOneof("parameter_choice") if parameter is not None else None
    return getattr(parameter, kind) if kind else None
