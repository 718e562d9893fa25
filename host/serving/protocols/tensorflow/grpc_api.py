"""TensorFlow Serving over gRPC."""

from typing import Any

from arrayloom.host.serving.core.protocol import Call
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.arrays import of_input
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import DEFAULT_SIGNATURE, SIGNATURE_FIELD, tfs
from arrayloom.host.serving.protocols.tensorflow.semantics import FIELDS, check_signature


async def predict(service: Service, message: Any, call: Call) -> Any:
    model = _model(service, message.model_spec)
    check_signature(model, message.model_spec.signature_name)
    inputs = {name: _array(name, tensor) for name, tensor in message.inputs.items()}
    request = service.request(model, inputs, list(message.output_filter))
    result = await service.infer(request, call.seconds)
    call.timing(result.timing())
    result.log("grpc-tfs")
    response = tfs.PredictResponse(model_spec=_spec(model))
    response.model_spec.signature_name = message.model_spec.signature_name or DEFAULT_SIGNATURE
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
    chosen = [_model(service, spec)] if _version(spec) is not None else service.repository.versions(spec.name)
    response = tfs.GetModelStatusResponse()
    for model in reversed(chosen):
        response.model_version_status.add(version=model.version, state=tfs.State[service.state(model)],
                                          status=tfs.StatusProto())
    return response


def _array(name: str, tensor: Any) -> Any:
    with of_input(name):
        return tensors.to_array(tensor)


def _version(spec: Any) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise ServiceError(Kind.NOT_FOUND, f"version label {spec.version_label[:100]!r} is unknown; versions have "
                                           "numbers here")
    return spec.version.value if spec.HasField("version") else None


def _model(service: Service, spec: Any) -> Model:
    return service.find(spec.name, _version(spec))


def _spec(model: Model) -> Any:
    return tfs.ModelSpec(name=model.name, version=tfs.Int64Value(value=model.version))
