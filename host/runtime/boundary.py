"""The host's work around a run: converts a model's inputs to the device's integers, and the results to the model's
outputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.host_parts import ModelPort
from arrayloom.isa.ports import Input, Output

Array = NDArray[Any]


def apply_tail(values: Array, output: Output) -> Array:
    """The model's output from the device's integers: ``values`` [N, C, H, W] through the output's host steps."""
    result = values.reshape(values.shape[0], *output.shape)
    for step in output.tail:
        result = step.apply(result)
    return result


def to_integers(values: Array, port: Input) -> Array:
    """Converts a batch [N, *shape] for an input of the accelerator to the integers of its slot, moved and quantized.

    Raises ``InputError`` for a wrong shape or dtype.
    """
    check_values(values, ModelPort(port.name, port.shape, port.dtype.name))
    if port.quantize is not None and not np.isfinite(values).all():
        raise InputError(f"input {port.name!r}: holds NaN or infinity, which have no quantized value")
    moved = values
    for step in port.moves:
        moved = step.apply(moved)
    return moved if port.quantize is None else port.quantize.apply(moved)


def device_inputs(values: Mapping[str, Array], ports: Sequence[Input]) -> dict[str, Array]:
    """The integers of all inputs of the accelerator, [N, *shape] by name; raises ``InputError`` as ``to_integers``."""
    return {port.name: to_integers(values[port.name], port) for port in ports}


def check_values(values: Array, port: ModelPort) -> None:
    """Raises ``InputError`` unless ``values`` are a batch for the port."""
    if tuple(values.shape[1:]) != port.shape or values.ndim != len(port.shape) + 1:
        raise InputError(f"input {port.name!r}: shape {list(values.shape)} given, {wanted_shape(port.shape)} wanted "
                         "(N: any number of images)")
    if values.dtype != port.dtype:
        raise InputError(f"input {port.name!r}: dtype {values.dtype} given, {port.dtype} wanted")


def wanted_shape(shape: Sequence[int]) -> str:
    """A shape without its batch, for messages."""
    return f"[{', '.join(['N', *map(str, shape)])}]"


def collect(inputs: Mapping[str, Array], ports: Sequence[ModelPort]) -> dict[str, Array]:
    """The model's inputs after checking; raises ``InputError`` for missing or unknown inputs and for different batch
    sizes."""
    wanted = [port.name for port in ports]
    if missing := sorted(set(wanted) - set(inputs)):
        raise InputError(f"input {missing[0]!r} is missing; the model takes {', '.join(map(repr, wanted))}")
    if unknown := sorted(set(inputs) - set(wanted)):
        raise InputError(f"input {unknown[0]!r} is unknown; the model takes {', '.join(map(repr, wanted))}")
    batch = {port.name: np.asarray(inputs[port.name]) for port in ports}
    for port in ports:
        check_values(batch[port.name], port)
    counts = {name: len(values) for name, values in batch.items()}
    if not all(counts.values()):
        empty = next(name for name, count in counts.items() if not count)
        raise InputError(f"input {empty!r}: holds no image; its first dimension, the number of images, must be 1 or more")
    if len(set(counts.values())) > 1:
        raise InputError(f"inputs hold different numbers of images: {counts}")
    return batch
