"""Valid requests for every call of a service, to be changed at random."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np

from arrayloom.host.models import digits
from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols.open_inference import tensors as oip_tensors
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER, oip
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs

MODEL = "digits"
UNLOAD = "unload"
"""Calls that would unload the service's model are left out; the same reader handles load requests."""


@dataclass(frozen=True)
class HttpSeed:
    verb: str
    path: str
    body: Any


def image() -> bytes:
    """An encoded picture."""
    return sorted(digits.IMAGES.iterdir())[0].read_bytes()


def pictures(count: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).random((count, 1, 8, 8), np.float32)


def grpc_seeds() -> list[tuple[Method, bytes]]:
    """Messages of all methods with one answer: those with tensors several times, in several forms."""
    found = []
    for method in (method for protocol in PROTOCOLS for method in protocol.methods if not method.stream):
        if method in (PREDICT, MODEL_INFER) or UNLOAD in method.name.lower():
            continue
        message = method.request()
        for field in message.DESCRIPTOR.fields:
            if field.name in ("name", "model_name", "service") and field.type == field.TYPE_STRING:
                setattr(message, field.name, MODEL)
        found.append((method, message.SerializeToString()))
    inputs = (tensors.from_content(pictures(1)), tensors.from_array(pictures(2)), tensors.from_strings([image()]))
    for tensor in inputs:
        request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name=MODEL), output_filter=["logits"])
        request.inputs["image"].CopyFrom(tensor)
        found += [(PREDICT, request.SerializeToString())] * 4
    for raw in (True, False):
        asked = oip.ModelInferRequest(model_name=MODEL, id="1")
        own = asked.inputs.add(name="image", datatype="FP32", shape=(1, 1, 8, 8))
        if raw:
            asked.raw_input_contents.append(oip_tensors.to_raw(pictures(1)))
        else:
            own.contents.fp32_contents.extend(pictures(1).ravel().tolist())
        asked.outputs.add(name="logits").parameters["classification"].int64_param = 3
        found += [(MODEL_INFER, asked.SerializeToString())] * 4
    return found


def http_seeds() -> list[HttpSeed]:
    """One request per route, several for routes with tensors."""
    routes = [(route.verb, route.at(MODEL, version)) for protocol in PROTOCOLS for route in protocol.routes
              for version in (None, 1) if route.name != UNLOAD]
    found = [HttpSeed(verb, path, {}) for verb, path in dict.fromkeys(routes)]
    encoded = {"b64": base64.b64encode(image()).decode()}
    v1, v2 = f"/v1/models/{MODEL}:predict", f"/v2/models/{MODEL}/infer"
    one = {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": pictures(1).ravel().tolist()}
    text = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [encoded["b64"]]}
    bodies: list[tuple[str, Any]] = [
        (v1, {"instances": [encoded]}), (v1, {"inputs": pictures(2).tolist(), "signature_name": "serving_default"}),
        (v1, {"instances": [{"image": pictures(1)[0].tolist()}]}),
        (v2, {"id": "a", "inputs": [one], "outputs": [{"name": "logits", "parameters": {"classification": 3}}],
              "parameters": {"timeout": 1_000_000}}),
        (v2, {"inputs": [text]})]
    return found + [HttpSeed("POST", path, body) for path, body in bodies for _ in range(4)]
