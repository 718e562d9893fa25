"""TensorFlow Serving over gRPC."""

from typing import Any

from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.reading import Reading
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import DEFAULT_SIGNATURE, SIGNATURE_FIELD, tfs
from arrayloom.host.serving.protocols.tensorflow.model_config import relabel
from arrayloom.host.serving.protocols.tensorflow.reading import model_of
from arrayloom.host.serving.protocols.tensorflow.semantics import FIELDS, check_signature, versions


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
        entry = response.metadata[field]
        entry.type_url, entry.value = kind, content(model).SerializeToString()
    return response


async def status(service: Service, message: Any, _: Call) -> Any:
    chosen = versions(service, *model_of(message.model_spec))
    response = tfs.GetModelStatusResponse()
    for model in reversed(chosen):
        response.model_version_status.add(version=model.version, state=tfs.State[service.state(model)],
                                          status=tfs.StatusProto())
    return response


async def reload_config(service: Service, message: Any, _: Call) -> Any:
    """Replaces the labels of versions."""
    relabel(service, message.config)
    return tfs.ReloadConfigResponse(status=tfs.StatusProto())


def _model(service: Service, spec: Any) -> Model:
    return service.find(*model_of(spec))


def _spec(model: Model) -> Any:
    return tfs.ModelSpec(name=model.name, version={"value": model.version})
