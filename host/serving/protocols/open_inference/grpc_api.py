"""The Open Inference Protocol over gRPC, with Triton's extensions."""

from typing import Any

from google.protobuf import json_format

from arrayloom.host.serving.core.about import SERVER, VERSION
from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.reading import Reading
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import ServiceError
from arrayloom.host.serving.protocols.open_inference import extensions, tensors
from arrayloom.host.serving.protocols.open_inference.messages import oip, stream_failure
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

FINAL = "triton_final_response"
"""The parameter that marks a stream's response as the last for its request."""


async def live(_: Service, __: Any, ___: Call) -> Any:
    return oip.ServerLiveResponse(live=True)


async def ready(service: Service, _: Any, __: Call) -> Any:
    return oip.ServerReadyResponse(ready=service.ready)


async def model_ready(service: Service, message: Any, _: Call) -> Any:
    return oip.ModelReadyResponse(ready=is_ready(service, known(service, message.name, message.version)))


async def server_metadata(_: Service, __: Any, ___: Call) -> Any:
    return oip.ServerMetadataResponse(name=SERVER, version=VERSION, extensions=EXTENSIONS)


async def model_metadata(service: Service, message: Any, _: Call) -> Any:
    model = find(service, message.name, message.version)
    response = oip.ModelMetadataResponse(name=model.name, platform=PLATFORM, versions=[
        str(other.version) for other in service.repository.versions(model.name)])
    for ports, entries in ((model.inputs, response.inputs), (model.outputs, response.outputs)):
        for port in ports:
            entries.add(**describe(port))
    return response


async def infer(service: Service, asked: Reading, call: Call) -> Any:
    fields = asked.fields
    model = find(service, fields["model"], fields["version"])
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


async def stream_infer(service: Service, asked: Reading, call: Call) -> Any:
    """Answers one request of a stream with one response."""
    try:
        response = await infer(service, asked, call)
    except ServiceError as error:
        return stream_failure(str(error), asked.fields["id"])
    response.parameters[FINAL].bool_param = True
    return oip.ModelStreamInferResponse(infer_response=response)


async def model_config(service: Service, message: Any, _: Call) -> Any:
    content = extensions.config(service, find(service, message.name, message.version))
    return oip.ModelConfigResponse(config=json_format.ParseDict(content, oip.ModelConfig()))


async def model_statistics(service: Service, message: Any, _: Call) -> Any:
    chosen = extensions.chosen(service, message.name, message.version)
    return json_format.ParseDict(extensions.statistics(service, chosen), oip.ModelStatisticsResponse())


async def repository_index(service: Service, message: Any, _: Call) -> Any:
    response = oip.RepositoryIndexResponse()
    for entry in index(service, only_ready=message.ready):
        response.models.add(**entry)
    return response


async def load(service: Service, message: Any, _: Call) -> Any:
    refuse_parameters(message.parameters)
    await service.load(*split_version(message.model_name))
    return oip.RepositoryModelLoadResponse()


async def unload(service: Service, message: Any, _: Call) -> Any:
    check_unload(message.model_name, message.parameters)
    await service.unload(*split_version(message.model_name))
    return oip.RepositoryModelUnloadResponse()
