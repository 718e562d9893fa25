"""One request over each protocol, as sent by a client that knows only the wire format."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import serving

from arrayloom.host.serving.core.protocol import Method
from arrayloom.host.serving.protocols import arrays, open_inference, tensorflow
from arrayloom.host.serving.protocols.open_inference import tensors as oip_tensors
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER, oip
from arrayloom.host.serving.protocols.tensorflow import tensors as tfs_tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs

GRPC_CODES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 503: "UNAVAILABLE"}


@dataclass
class RefusedError(Exception):
    """``code``: the HTTP status; gRPC codes are translated."""

    code: int
    message: str


@dataclass
class Ask:
    """An inference request: numpy arrays by input name; an object array contains images."""

    inputs: dict[str, Any]
    model: str = "digits"
    version: int | None = None
    outputs: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def strings(*values: bytes) -> Any:
    """An object array [N] of encoded images."""
    return arrays.strings(list(values))


def tfs_grpc(server: serving.Server, ask: Ask) -> dict[str, np.ndarray]:
    """TensorFlow Serving's Predict."""
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name=ask.model), output_filter=ask.outputs)
    if ask.version is not None:
        request.model_spec.version.value = ask.version
    for name, values in ask.inputs.items():
        tensor = tfs_tensors.from_strings(list(values)) if values.dtype == object \
            else tfs_tensors.from_content(values)
        request.inputs[name].CopyFrom(tensor)
    response = call(server, PREDICT, request, ask.headers)
    return {name: tfs_tensors.to_array(tensor) for name, tensor in response.outputs.items()}


def oip_grpc(server: serving.Server, ask: Ask) -> dict[str, np.ndarray]:
    """The Open Inference Protocol's ModelInfer with raw tensors."""
    request = oip.ModelInferRequest(model_name=ask.model, model_version="" if ask.version is None else str(ask.version))
    for name, values in ask.inputs.items():
        request.inputs.add(name=name, datatype=oip_tensors.datatype(values.dtype), shape=values.shape)
        request.raw_input_contents.append(oip_tensors.to_raw(values))
    for name in ask.outputs:
        request.outputs.add(name=name)
    response = call(server, MODEL_INFER, request, ask.headers)
    return {output.name: oip_tensors.from_raw(content, output.datatype, list(output.shape))
            for output, content in zip(response.outputs, response.raw_output_contents, strict=True)}


def rest(server: serving.Server, ask: Ask) -> dict[str, np.ndarray]:
    """TensorFlow Serving's REST in columnar format, which cannot select outputs."""
    inputs = {name: _json(values) for name, values in ask.inputs.items()}
    path = tensorflow.PREDICT.at(ask.model, ask.version)
    answer = json.loads(http(server, path, json.dumps({"inputs": inputs}).encode(), ask.headers))
    return {"logits": np.array(answer["outputs"], np.float32)}


def oip_http(server: serving.Server, ask: Ask) -> dict[str, np.ndarray]:
    """The Open Inference Protocol over HTTP with JSON data."""
    inputs = [{"name": name, "datatype": oip_tensors.datatype(values.dtype), "shape": list(values.shape),
               "data": _json(values)} for name, values in ask.inputs.items()]
    body = {"inputs": inputs} | ({"outputs": [{"name": name} for name in ask.outputs]} if ask.outputs else {})
    path = open_inference.INFER.at(ask.model, ask.version)
    answer = json.loads(http(server, path, json.dumps(body).encode(), ask.headers))
    return {output["name"]: np.array(output["data"], oip_tensors.DTYPES[output["datatype"]]).reshape(output["shape"])
            for output in answer["outputs"]}


PROTOCOLS: dict[str, Callable[[serving.Server, Ask], dict[str, np.ndarray]]] = {
    "tfs-grpc": tfs_grpc, "oip-grpc": oip_grpc, "tfs-rest": rest, "oip-http": oip_http}


def http(server: serving.Server, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """Returns the body of the answer; raises ``RefusedError``, with the error's text, unless the request succeeds."""
    request = urllib.request.Request(server.url + path, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        raise RefusedError(error.code, json.loads(error.read())["error"]) from None


def call_bytes(server: serving.Server, path: str, message: bytes, headers: dict[str, str] | None = None) -> bytes:
    """One gRPC call with the bytes of a message; raises ``RefusedError``."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.max_receive_message_length", -1)]) as channel:
        try:
            return channel.unary_unary(path)(message, timeout=60, metadata=tuple((headers or {}).items()))
        except grpc.RpcError as error:
            names = {name: number for number, name in GRPC_CODES.items()}
            raise RefusedError(names.get(error.code().name, 0), f"{error.code().name}: {error.details()}") from None


def call(server: serving.Server, method: Method, request: Any, headers: dict[str, str] | None = None) -> Any:
    """One gRPC call with messages; raises ``RefusedError``."""
    return method.response.FromString(call_bytes(server, method.path, request.SerializeToString(), headers))


def load(server: serving.Server, model: str) -> None:
    """Loads a model, ``NAME`` or ``NAME:VERSION``, onto the device; raises ``RefusedError``."""
    http(server, open_inference.LOAD.at(model), b"")


def _json(values: Any) -> Any:
    if values.dtype == object:
        return [{"b64": base64.b64encode(value).decode()} for value in values.ravel()]
    return values.tolist()
