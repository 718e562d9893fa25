"""A model as a service sees it, and the check of requests against its inputs and outputs."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.host_steps import Quantize

Array = NDArray[Any]
Encoded = list[bytes]


@dataclass(frozen=True)
class Port:
    """One input or output; ``shape`` excludes the batch; ``encoding`` is the quantization of 8-bit values, if known."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    encoding: Quantize | None = None

    @property
    def batched(self) -> tuple[int, ...]:
        """The shape with an open batch dimension, as in metadata."""
        return (-1, *self.shape)


@dataclass(frozen=True, eq=False)
class Model:
    """One bundle as a service sees it; the replicas hold the program itself."""

    name: str
    version: int
    folder: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    labels: tuple[str, ...] | None
    recipe: str | None
    configuration: str

    @classmethod
    def load(cls, folder: Path) -> "Model":
        """Raises ``BundleError``."""
        bundle = Bundle.load(folder)
        program = bundle.program
        return cls(bundle.name, bundle.version, folder.absolute(),
                   tuple(_port(port) for port in program.model_inputs), tuple(_port(port) for port in program.model_outputs),
                   bundle.labels, bundle.recipe, program.config)

    @property
    def key(self) -> str:
        return f"{self.name}:{self.version}"

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


def _port(port: ModelPort) -> Port:
    """An input or output of the user's model: before the host's head or after its tail."""
    return Port(port.name, port.shape, np.dtype(port.dtype), port.encoding)


@dataclass(frozen=True)
class Request:
    """Inputs by the model's names: arrays [N, ...], or the only input as N encoded images. ``outputs``: the
    requested outputs, from the client's names to the model's; ``look``: whether to report what the image shows."""

    model: Model
    inputs: Mapping[str, Array | Encoded]
    outputs: Mapping[str, Port]
    look: bool = False

    @classmethod
    def checked(cls, model: Model, inputs: Mapping[str, Array], outputs: Sequence[str], settings: Settings) -> "Request":
        """Checks a request of any protocol before it may wait for the device.

        Raises ``ServiceError`` (INVALID) naming what does not fit the model and what would fit.
        """
        return cls(model, _inputs(model, inputs, settings), _outputs(model, outputs))


def port_of(ports: Sequence[Port], name: str, what: str) -> Port:
    """The port of that name, found as by ``known_name``."""
    named = {port.name: port for port in ports}
    return named[known_name(named, name, what)]


def known_name(names: Collection[str], name: str, what: str) -> str:
    """The matching entry of ``names``: equal, or differing only in TensorFlow's suffix ``:0``.

    Raises ``ServiceError`` if there is none; its text calls the entry ``what``.
    """
    for form in (name, f"{name}:0", name.removesuffix(":0")):
        if form in names:
            return form
    raise ServiceError(Kind.INVALID, f"{what} {name[:100]!r} is unknown; the model's are: {', '.join(names)}")


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
    if values.size > settings.max_batch:
        raise ServiceError(Kind.INVALID, f"images in the inputs: {{{port.name!r}: {values.size}}}; give the same number in "
                                         f"all, from 1 to {settings.max_batch}")
    images = [bytes(image) for image in values.ravel()]
    for index, image in enumerate(images):
        if not image:
            raise ServiceError(Kind.INVALID, f"{_which(port, images, index)}: an empty string is not an image; send a JPEG "
                                             "or "
                                             "PNG")
        if len(image) > settings.max_image:
            raise ServiceError(Kind.INVALID, f"{_which(port, images, index)}: an image of {len(image)} bytes; at most "
                                             f"{settings.max_image} are accepted")
    return images


def _which(port: Port, images: Encoded, index: int) -> str:
    """The input's name, with the image's index if there are several."""
    return f"input {port.name!r}" + (f", image {index}" if len(images) > 1 else "")


def _outputs(model: Model, names: Sequence[str]) -> dict[str, Port]:
    if not names:
        return {port.name: port for port in model.outputs}
    return {name: port_of(model.outputs, name, "output") for name in names}


def _shape(port: Port) -> str:
    return f"[N, {', '.join(map(str, port.shape))}]"


def _taken(model: Model) -> str:
    return "; ".join(f"{port.name}: {port.dtype} {_shape(port)}" for port in model.inputs)


def shown(text: str) -> str:
    """A name from a client or file, shortened for a message."""
    return json.dumps(text[:100])
