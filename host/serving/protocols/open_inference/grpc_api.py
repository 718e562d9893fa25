"""The Open Inference Protocol over gRPC, with the model repository extension."""

from typing import Any

from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.reading import Reading
from arrayloom.host.serving.core.served_model import Model, parse_version
from arrayloom.host.serving.core.service import Service
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
    refuse_parameters,
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


async def infer(service: Service, asked: Reading, call: Call) -> Any:
    fields = asked.fields
    model = _model(service, fields["model"], fields["version"])
    request = service.request(model, asked.inputs, [output["name"] for output in fields["outputs"]])
    result = await service.infer(request, timeout(fields["parameters"].get("timeout"), call.seconds))
    call.timing(result.timing())
    result.log("grpc-v2", fields["id"])
    response = oip.ModelInferResponse(model_name=model.name, model_version=str(model.version), id=fields["id"])
    counts = {output["name"]: output["parameters"].get("classification") for output in fields["outputs"]}
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
    refuse_parameters(message.parameters)
    name, version = split_version(message.model_name)
    await service.load(_model(service, name, version))
    return oip.RepositoryModelLoadResponse()


def _model(service: Service, name: str, version: str) -> Model:
    return service.find(name, parse_version(version))
