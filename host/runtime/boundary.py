"""What the host does around a run: a model's inputs to the device's integers, and those to the model's outputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.errors import InputError
from arrayloom.isa.ports import Input, Output

Array = NDArray[Any]


def apply_tail(values: Array, output: Output) -> Array:
    """The model's output from the device's integers: ``values`` [N, C, H, W] through the output's host steps."""
    result = values.reshape(values.shape[0], *output.shape)
    for step in output.tail:
        result = step.apply(result)
    return result


def to_integers(values: Array, port: Input) -> Array:
    """A batch for a model input as the integers of its slot, [N, *shape].

    Raises ``InputError`` for a wrong shape or dtype.
    """
    if tuple(values.shape[1:]) != port.shape or values.ndim != len(port.shape) + 1:
        raise InputError(f"input {port.name!r}: shape {list(values.shape)} given, [N, {', '.join(map(str, port.shape))}] "
                         "wanted (N: any number of images)")
    if values.dtype != port.dtype:
        raise InputError(f"input {port.name!r}: dtype {values.dtype} given, {port.dtype} wanted")
    if port.quantize is None:
        return values
    if not np.isfinite(values).all():
        raise InputError(f"input {port.name!r}: holds NaN or infinity, which have no quantized value")
    return port.quantize.apply(values)


def collect(inputs: dict[str, Array], ports: Sequence[Input]) -> dict[str, Array]:
    """The integers of all inputs; raises ``InputError`` for missing, unknown or differently long ones."""
    wanted = [port.name for port in ports]
    if missing := sorted(set(wanted) - set(inputs)):
        raise InputError(f"input {missing[0]!r} is missing; the model takes {', '.join(map(repr, wanted))}")
    if unknown := sorted(set(inputs) - set(wanted)):
        raise InputError(f"input {unknown[0]!r} is unknown; the model takes {', '.join(map(repr, wanted))}")
    integers = {port.name: to_integers(np.asarray(inputs[port.name]), port) for port in ports}
    counts = {name: len(values) for name, values in integers.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(f"inputs hold different numbers of images, or none: {counts}")
    return integers
