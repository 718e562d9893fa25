"""A request, whatever protocol it came by: inputs are checked against the model before it may wait for the device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from arrayloom.host.serving.core.errors import Kind, ServiceError
from arrayloom.host.serving.core.model import Model, Port
from arrayloom.host.serving.core.settings import Settings

Array = NDArray[Any]
Encoded = list[bytes]


@dataclass(frozen=True)
class Request:
    """Inputs by the model's own names: arrays [N, ...], or the one input as N encoded images. ``outputs``: the wanted
    ones as the client called them, with the model's names."""

    model: Model
    inputs: Mapping[str, Array | Encoded]
    outputs: Mapping[str, Port]


def build(model: Model, inputs: Mapping[str, Array], outputs: Sequence[str], settings: Settings) -> Request:
    """Raises ``ServiceError`` (INVALID) naming what does not fit and what would."""
    return Request(model, _inputs(model, inputs, settings), _outputs(model, outputs))


def port_of(ports: Sequence[Port], name: str, what: str) -> Port:
    """The port of that name, with or without TensorFlow's ``:0``."""
    for port in ports:
        if name in (port.name, f"{port.name}:0"):
            return port
    known = ", ".join(port.name for port in ports)
    raise ServiceError(Kind.INVALID, f"{what} {name[:100]!r} is unknown; the model's are: {known}")


def _inputs(model: Model, inputs: Mapping[str, Array], settings: Settings) -> dict[str, Array | Encoded]:
    checked: dict[str, Array | Encoded] = {}
    for name, values in inputs.items():
        port = port_of(model.inputs, name, "input")
        if port.name in checked:
            raise ServiceError(Kind.INVALID, f"input {port.name!r} is given twice")
        checked[port.name] = _images(model, port, values, settings) if values.dtype == object else _array(port, values)
    if missing := [port for port in model.inputs if port.name not in checked]:
        raise ServiceError(Kind.INVALID, f"input {missing[0].name!r} is missing; the model takes {_taken(model)}")
    counts = {name: len(values) for name, values in checked.items()}
    if len(set(counts.values())) > 1 or not 0 < max(counts.values()) <= settings.max_batch:
        raise ServiceError(Kind.INVALID, f"images in the inputs: {counts}; give the same number in all, from 1 to "
                                         f"{settings.max_batch}")
    return checked


def _array(port: Port, values: Array) -> Array:
    if values.ndim != len(port.shape) + 1 or values.shape[1:] != port.shape:
        raise ServiceError(Kind.INVALID, f"input {port.name!r}: shape {list(values.shape)} given, {_shape(port)} wanted")
    if values.dtype != port.dtype:
        raise ServiceError(Kind.INVALID, f"input {port.name!r}: dtype {values.dtype} given, {port.dtype} wanted")
    return values


def _images(model: Model, port: Port, values: Array, settings: Settings) -> Encoded:
    if model.recipe is None:
        raise ServiceError(Kind.INVALID, f"input {port.name!r}: strings given, but model {model.name} has no preprocessing "
                                         f"for images; send {port.dtype} {_shape(port)}")
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] != 1):
        raise ServiceError(Kind.INVALID, f"input {port.name!r}: strings of shape {list(values.shape)} given; encoded images "
                                         "have shape [N]")
    images = [bytes(image) for image in values.ravel()]
    for image in images:
        if not image:
            raise ServiceError(Kind.INVALID, f"input {port.name!r}: an empty string is no image; send a JPEG or PNG")
        if len(image) > settings.max_image:
            raise ServiceError(Kind.INVALID, f"input {port.name!r}: an image of {len(image)} bytes; at most "
                                             f"{settings.max_image} are accepted")
    return images


def _outputs(model: Model, names: Sequence[str]) -> dict[str, Port]:
    if not names:
        return {port.name: port for port in model.outputs}
    return {name: port_of(model.outputs, name, "output") for name in names}


def _shape(port: Port) -> str:
    return f"[N, {', '.join(map(str, port.shape))}]"


def _taken(model: Model) -> str:
    return "; ".join(f"{port.name}: {port.dtype} {_shape(port)}" for port in model.inputs)

