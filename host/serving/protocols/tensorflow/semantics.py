"""The parts of TensorFlow Serving that gRPC and HTTP share: a model's signatures and further metadata."""

import re
from typing import Any

from arrayloom.host.serving.core.served_model import Model, Port
from arrayloom.host.serving.core.service import Service
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import (
    DEFAULT_SIGNATURE,
    ENCODINGS_FIELD,
    IMAGE_SIGNATURE,
    LABELS_FIELD,
    RECIPE_FIELD,
    SIGNATURE_FIELD,
    tfs,
)

_SUFFIX = re.compile(r":\d+$")      # TensorFlow's suffix for the index of a node's output
PREDICT_METHOD = "tensorflow/serving/predict"
SIGNATURES_TYPE = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
LABELS_TYPE = "type.googleapis.com/arrayloom.tensorflow_serving.LabelList"
RECIPE_TYPE = "type.googleapis.com/arrayloom.tensorflow_serving.Recipe"
ENCODINGS_TYPE = "type.googleapis.com/arrayloom.tensorflow_serving.EncodingList"


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
    """Raises ``ServiceError`` for a signature that the model does not have; an empty one is the default."""
    if name and name not in (known := _names(model)):
        raise ServiceError(Kind.INVALID, f"signature_name {name[:100]!r} is unknown; the model's are: {', '.join(known)}")


def versions(service: Service, name: str, version: int | None, label: str) -> list[Model]:
    """The versions whose state is requested, loaded or not: one, by number or label, or all."""
    if version is None and not label:
        return service.repository.versions(name)
    return [service.repository.find(name, version, label)]


def _names(model: Model) -> list[str]:
    return [DEFAULT_SIGNATURE] + [IMAGE_SIGNATURE] * (model.recipe is not None)


def _encodings(model: Model) -> Any:
    result = tfs.EncodingList()
    for port in model.outputs:
        if port.encoding is not None:
            result.encoding.add(output=port.name, scale=port.encoding.scale, zero_point=port.encoding.zero_point)
    return result


FIELDS = {SIGNATURE_FIELD: (SIGNATURES_TYPE, signatures),
          LABELS_FIELD: (LABELS_TYPE, lambda model: tfs.LabelList(label=model.labels or ())),
          RECIPE_FIELD: (RECIPE_TYPE, lambda model: tfs.Recipe(name=model.recipe or "")),
          ENCODINGS_FIELD: (ENCODINGS_TYPE, _encodings)}
"""Message type and content of the answer for each name in ``metadata_field``."""


def _describe(info: Any, port: Port) -> None:
    info.name = port.name if _SUFFIX.search(port.name) else f"{port.name}:0"
    info.dtype = tensors.data_type(port.dtype)
    tensors.set_shape(info.tensor_shape, port.batched)
