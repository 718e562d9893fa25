"""Reads inference requests of the Open Inference Protocol, over gRPC and HTTP."""

from collections.abc import Mapping
from typing import Any

from arrayloom.host.serving.core.reading import Limits, Reading
from arrayloom.host.serving.errors import Kind, MessageError, ServiceError
from arrayloom.host.serving.protocols import http_body as bodies
from arrayloom.host.serving.protocols import wire
from arrayloom.host.serving.protocols.arrays import cut, from_json, of_input
from arrayloom.host.serving.protocols.open_inference import tensors
from arrayloom.host.serving.protocols.open_inference.messages import oip

HTTP = "open_inference/http"
SHARED_MEMORY = "shared_memory"


def read_grpc(data: bytes | bytearray, _: Mapping[str, Any], limits: Limits) -> Reading:
    """Reads a ``ModelInferRequest`` into the fields ``model``, ``version``, ``id``, ``parameters``, ``outputs`` with their
    parameters."""
    message = wire.parse(oip.ModelInferRequest, bytes(data), limits)
    raw = list(message.raw_input_contents)
    if raw and len(raw) != len(message.inputs):
        raise ServiceError(Kind.INVALID, f"raw_input_contents: {len(raw)} given for {len(message.inputs)} inputs; give one "
                                         "for each, or none")
    inputs: dict[str, Any] = {}
    for position, tensor in enumerate(message.inputs):
        _check_new(tensor.name, inputs)
        refuse_shared_memory(tensor.parameters, f"input {tensor.name[:100]!r}")
        inputs[tensor.name] = _from_message(tensor, raw[position] if raw else None)
    outputs = [{"name": output.name, "parameters": _values(output.parameters)} for output in message.outputs]
    return Reading({"model": message.model_name, "version": message.model_version, "id": message.id,
                    "parameters": _values(message.parameters), "outputs": _checked(outputs)}, inputs)


def read_http(data: bytes | bytearray, facts: Mapping[str, Any], limits: Limits) -> Reading:
    """Reads a body, with or without binary tensors, into the fields ``id``, ``parameters``, ``outputs`` with their
    parameters."""
    body, binary = bodies.parse_request(data, facts, limits)
    outputs = [{"name": bodies.text(output, "name"), "parameters": _parameters(output)}
               for output in (_list(body, "outputs") if "outputs" in body else [])]
    inputs: dict[str, Any] = {}
    position = 0
    for entry in _list(body, "inputs"):
        name, size = bodies.text(entry, "name"), _parameters(entry).get("binary_data_size", 0)
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - position:
            raise ServiceError(Kind.INVALID, f"input {name[:100]!r}: binary_data_size {cut(size)}: "
                                             f"{len(binary) - position} bytes are left in the body")
        _check_new(name, inputs)
        refuse_shared_memory(_parameters(entry), f"input {name[:100]!r}")
        inputs[name] = _from_entry(name, entry, bytes(binary[position:position + size]))
        position += size
    if position != len(binary):
        raise ServiceError(Kind.INVALID, f"{len(binary) - position} bytes of the body belong to no input")
    fields = {"id": bodies.text(body, "id"), "parameters": _parameters(body), "outputs": _checked(outputs)}
    return Reading(fields, inputs)


def refuse_shared_memory(parameters: Any, what: str) -> None:
    """Raises ``ServiceError`` if a client passes a tensor in shared memory."""
    if named := [name for name in parameters if name.startswith(SHARED_MEMORY)]:
        raise ServiceError(Kind.INVALID, f"{what}: parameter {named[0][:100]!r}: regions of shared memory are not "
                                         "supported; send and receive tensors in the messages")


def _checked(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for output in outputs:
        refuse_shared_memory(output["parameters"], f"output {output['name'][:100]!r}")
    return outputs


def _check_new(name: str, inputs: Mapping[str, Any]) -> None:
    if name in inputs:
        raise ServiceError(Kind.INVALID, f"input {name[:100]!r} is given twice")


def _from_message(tensor: Any, content: bytes | None) -> Any:
    shape = list(tensor.shape)
    with of_input(tensor.name):
        if content is not None:
            return tensors.from_raw(content, tensor.datatype, shape)
        tensors.numpy_dtype(tensor.datatype)
        if tensor.datatype not in tensors.CONTENTS:
            raise MessageError(f"datatype {tensor.datatype} is accepted in raw_input_contents only")
        return tensors.from_list(getattr(tensor.contents, tensors.CONTENTS[tensor.datatype]), tensor.datatype, shape)


def _values(parameters: Any) -> dict[str, Any]:
    """``InferParameter`` messages by name as JSON values; one without a value is None."""
    kinds = {name: parameter.WhichOneof("parameter_choice") for name, parameter in parameters.items()}
    return {name: getattr(parameters[name], kind) if kind else None for name, kind in kinds.items()}


def _list(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = body.get(name)
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ServiceError(Kind.INVALID, f"{name}: must be a list of objects")
    return values


def _parameters(part: dict[str, Any]) -> dict[str, Any]:
    values = part.get("parameters", {})
    if not isinstance(values, dict):
        raise ServiceError(Kind.INVALID, "parameters: must be an object")
    return values


def _from_entry(name: str, entry: dict[str, Any], content: bytes) -> Any:
    with of_input(name):
        try:
            return _array(entry, content)
        except ValueError:
            raise MessageError(f"the number of values in data does not match shape {cut(entry.get('shape'))}") from None


def _array(entry: dict[str, Any], content: bytes) -> Any:
    if ("data" in entry) == ("binary_data_size" in _parameters(entry)):
        raise MessageError("give its values as data, or their length as parameters.binary_data_size")
    datatype = entry.get("datatype")
    if "data" not in entry:
        return tensors.from_raw(content, datatype or "", entry.get("shape", []))
    dtype = tensors.numpy_dtype(datatype)
    values = from_json(entry["data"], dtype)
    if (values.dtype.kind == "O") != (dtype.kind == "O"):
        raise MessageError(f"datatype {datatype} does not fit its data; bytes are written as {{\"b64\": ...}}")
    return values.reshape(tensors.check_shape(entry.get("shape")))
