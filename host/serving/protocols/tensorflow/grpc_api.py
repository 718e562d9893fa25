"""TensorFlow Serving's gRPC: Predict, GetModelMetadata and GetModelStatus, at their original paths."""

from typing import Any

from arrayloom.host.serving.core.calls import note
from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.model import Model, Port
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.protocols.errors import MessageError
from arrayloom.host.serving.protocols.grpc_handlers import Call, Methods
from arrayloom.host.serving.protocols.messages import tfs
from arrayloom.host.serving.protocols.tensorflow import tensors

DEFAULT_SIGNATURE, IMAGE_SIGNATURE = "serving_default", "encoded_images"
PREDICT_METHOD = "tensorflow/serving/predict"
SIGNATURES_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
LABELS_TYPE = "type.googleapis.com/arrayloom.tensorflow_serving.LabelList"
SIGNATURE_FIELD, LABELS_FIELD = "signature_def", "labels"


def methods(service: Service) -> dict[str, Methods]:
    """By the name of the gRPC service, its methods."""
    return {"tensorflow.serving.PredictionService": {
                "Predict": (tfs.PredictRequest, lambda message, call: predict(service, message, call)),
                "GetModelMetadata": (tfs.GetModelMetadataRequest, lambda message, _: metadata(service, message))},
            "tensorflow.serving.ModelService": {
                "GetModelStatus": (tfs.GetModelStatusRequest, lambda message, _: status(service, message))}}


async def predict(service: Service, message: Any, call: Call) -> Any:
    model = _model(service, message.model_spec)
    check_signature(model, message.model_spec.signature_name)
    inputs = {name: _array(name, tensor) for name, tensor in message.inputs.items()}
    request = service.request(model, inputs, list(message.output_filter))
    result = await service.infer(request, call.seconds)
    call.timing(result.timing())
    note("grpc-tfs", "", result)
    response = tfs.PredictResponse(model_spec=_spec(model))
    response.model_spec.signature_name = message.model_spec.signature_name or DEFAULT_SIGNATURE
    for name, values in result.outputs.items():
        response.outputs[name].CopyFrom(tensors.from_array(values))
    return response


async def metadata(service: Service, message: Any) -> Any:
    model = _model(service, message.model_spec)
    response = tfs.GetModelMetadataResponse(model_spec=_spec(model))
    for field in message.metadata_field or (SIGNATURE_FIELD,):
        if field not in METADATA:
            raise ServiceError(Kind.INVALID, f"metadata_field {field[:100]!r} is unknown; known: {', '.join(METADATA)}")
        kind, content = METADATA[field]
        response.metadata[field].CopyFrom(tfs.Any(type_url=kind, value=content(model).SerializeToString()))
    return response


async def status(service: Service, message: Any) -> Any:
    spec = message.model_spec
    chosen = [_model(service, spec)] if _version(spec) is not None else service.repository.versions(spec.name)
    response = tfs.GetModelStatusResponse()
    for model in reversed(chosen):
        response.model_version_status.add(version=model.version, state=tfs.State[service.state(model)],
                                          status=tfs.StatusProto())
    return response


def signatures(model: Model) -> Any:
    """The signatures of a model: tensors, and encoded images where it has a recipe for them."""
    result = tfs.SignatureDefMap()
    for name in _names(model):
        signature = result.signature_def[name]
        signature.method_name = PREDICT_METHOD
        for port in model.inputs:
            _describe(signature.inputs[port.name], port)
        if name == IMAGE_SIGNATURE:
            info = signature.inputs[model.inputs[0].name]
            info.dtype = tfs.DataType["DT_STRING"]
            tensors.set_shape(info.tensor_shape, (-1,))
        for port in model.outputs:
            _describe(signature.outputs[port.name], port)
    return result


def check_signature(model: Model, name: str) -> None:
    """Raises ``ServiceError`` for a signature that the model does not have; empty is the default one."""
    if name and name not in (known := _names(model)):
        raise ServiceError(Kind.INVALID, f"signature_name {name[:100]!r} is unknown; the model's are: {', '.join(known)}")


def _names(model: Model) -> list[str]:
    return [DEFAULT_SIGNATURE] + [IMAGE_SIGNATURE] * (model.recipe is not None)


METADATA = {SIGNATURE_FIELD: (SIGNATURES_TYPE, signatures),
            LABELS_FIELD: (LABELS_TYPE, lambda model: tfs.LabelList(label=model.labels or ()))}
"""What ``metadata_field`` may ask for: type and content of the answer."""


def _describe(info: Any, port: Port) -> None:
    info.name = f"{port.name}:0"
    info.dtype = tensors.data_type(port.dtype)
    tensors.set_shape(info.tensor_shape, port.batched)


def _array(name: str, tensor: Any) -> Any:
    try:
        return tensors.to_array(tensor)
    except MessageError as error:
        raise ServiceError(Kind.INVALID, f"input {name[:100]!r}: {error}") from None


def _version(spec: Any) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise ServiceError(Kind.NOT_FOUND, f"version label {spec.version_label[:100]!r} is unknown; versions have "
                                           "numbers here")
    return spec.version.value if spec.HasField("version") else None


def _model(service: Service, spec: Any) -> Model:
    return service.find(spec.name, _version(spec))


def _spec(model: Model) -> Any:
    return tfs.ModelSpec(name=model.name, version=tfs.Int64Value(value=model.version))
