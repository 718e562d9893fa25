"""Reads requests of TensorFlow Serving's Predict, over gRPC and HTTP."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from arrayloom.host.serving.core.reading import Limits, Reading
from arrayloom.host.serving.core.served_model import known_name
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols import wire
from arrayloom.host.serving.protocols.arrays import from_json, of_input
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import tfs

HTTP = "tensorflow/http"


def read_grpc(data: bytes | bytearray, _: Mapping[str, Any], limits: Limits) -> Reading:
    """Reads a ``PredictRequest`` into the fields ``model`` (name, version, label), ``signature``, ``outputs``."""
    message = wire.parse(tfs.PredictRequest, bytes(data), limits)
    fields = {"model": model_of(message.model_spec), "signature": message.model_spec.signature_name,
              "outputs": list(message.output_filter)}
    inputs = {}
    for name, tensor in message.inputs.items():
        with of_input(name):
            inputs[name] = tensors.to_array(tensor, limits)
    return Reading(fields, inputs)


def model_of(spec: Any) -> tuple[str, int | None, str]:
    """Name, version and version label of a ``ModelSpec``, which has a version, a label or neither."""
    return spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label


def read_http(data: bytes | bytearray, facts: Mapping[str, Any], limits: Limits) -> Reading:
    """Reads a body in row or columnar format into the fields ``rows``, ``signature``.

    ``facts``: those of the body, and ``model``, a name for messages, and ``dtypes`` of its inputs by name.
    """
    body, _ = bodies.parse_request(data, facts, limits)
    bodies.only(body, ("signature_name", "instances", "inputs"))
    if ("instances" in body) == ("inputs" in body):
        raise ServiceError(Kind.INVALID, "give either \"instances\" (one entry per image) or \"inputs\" (whole tensors)")
    rows = "instances" in body
    named = _rows(body["instances"], facts) if rows else _columns(body["inputs"], facts)
    inputs = {name: _array(name, value, facts) for name, value in named.items()}
    return Reading({"rows": rows, "signature": bodies.text(body, "signature_name")}, inputs)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _rows(instances: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Whole tensors by name, from one entry per image."""
    if not isinstance(instances, list) or not instances:
        raise ServiceError(Kind.INVALID, "instances: must be a list with one entry per image, and not empty")
    if not any(_is_named(instance) for instance in instances):
        return {_only(facts): instances}
    if not all(_is_named(instance) and set(instance) == set(instances[0]) for instance in instances):
        raise ServiceError(Kind.INVALID, "instances: all entries must name the same inputs")
    return {name: [instance[name] for instance in instances] for name in instances[0]}


def _columns(inputs: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
    return inputs if _is_named(inputs) else {_only(facts): inputs}


def _only(facts: Mapping[str, Any]) -> str:
    names = list(facts["dtypes"])
    if len(names) > 1:
        raise ServiceError(Kind.INVALID, f"model {facts['model']} has several inputs; name them: {', '.join(names)}")
    return names[0]


def _array(name: str, value: Any, facts: Mapping[str, Any]) -> Any:
    with of_input(name):
        return from_json(value, np.dtype(facts["dtypes"][known_name(facts["dtypes"], name, "input")]))
