"""TensorFlow Serving over gRPC."""

from typing import Any

from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.reading import Reading
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import DEFAULT_SIGNATURE, SIGNATURE_FIELD, tfs
from arrayloom.host.serving.protocols.tensorflow.reading import model_of
from arrayloom.host.serving.protocols.tensorflow.semantics import FIELDS, check_signature


async def predict(service: Service, asked: Reading, call: Call) -> Any:
    model = service.find(*asked.fields["model"])
    check_signature(model, asked.fields["signature"])
    result = await service.infer(service.request(model, asked.inputs, asked.fields["outputs"]), call.seconds)
    call.timing(result.timing())
    result.log("grpc-tfs")
    response = tfs.PredictResponse(model_spec=_spec(model))
    response.model_spec.signature_name = asked.fields["signature"] or DEFAULT_SIGNATURE
    for name, values in result.outputs.items():
        response.outputs[name].CopyFrom(tensors.from_array(values))
    return response


async def metadata(service: Service, message: Any, _: Call) -> Any:
    model = _model(service, message.model_spec)
    response = tfs.GetModelMetadataResponse(model_spec=_spec(model))
    for field in message.metadata_field or (SIGNATURE_FIELD,):
        if field not in FIELDS:
            raise ServiceError(Kind.INVALID, f"metadata_field {field[:100]!r} is unknown; known: {', '.join(FIELDS)}")
        kind, content = FIELDS[field]
        response.metadata[field].CopyFrom(tfs.Any(type_url=kind, value=content(model).SerializeToString()))
    return response


async def status(service: Service, message: Any, _: Call) -> Any:
    spec = message.model_spec
    chosen = [_model(service, spec)] if model_of(spec)[1] is not None else service.repository.versions(spec.name)
    response = tfs.GetModelStatusResponse()
    for model in reversed(chosen):
        response.model_version_status.add(version=model.version, state=tfs.State[service.state(model)],
                                          status=tfs.StatusProto())
    return response


def _model(service: Service, spec: Any) -> Model:
    return service.find(*model_of(spec))


def _spec(model: Model) -> Any:
    return tfs.ModelSpec(name=model.name, version=tfs.Int64Value(value=model.version))
