"""The float borders of an integer network, which stay on the host: input quantization, output dequantization, softmax."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.program import Input, Output

Array = NDArray[Any]


class InputError(ArrayloomError):
    """An input that the model does not take; names the input, what was given and what is wanted."""


def quantize(values: Array, scale: float, zero_point: int, dtype: np.dtype[Any]) -> Array:
    """QuantizeLinear: clamp(rne(fl(x / scale)) + zero_point) in ``dtype``, uint8 or int8."""
    limits = np.iinfo(dtype)
    rounded = np.rint(values.astype(np.float32) / np.float32(scale)) + np.float32(zero_point)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def dequantize(values: Array, scale: float, zero_point: int) -> NDArray[np.float32]:
    """DequantizeLinear: fl(fl(x - zero_point) * scale)."""
    return (values.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


def softmax(values: Array, axis: int) -> NDArray[np.float32]:
    shifted = np.exp(values - values.max(axis=axis, keepdims=True))
    return (shifted / shifted.sum(axis=axis, keepdims=True)).astype(np.float32)


def quantized_softmax(values: Array, axis: int, x_scale: float, y_scale: float, y_zero: int) -> Array:
    """com.microsoft.QLinearSoftmax, as ONNX Runtime computes it in integers: exponentials from a table of 256 entries,
    scaled so that their sum fits 32 bits, and a division rounded half up."""
    limits = np.iinfo(values.dtype)
    largest = min(float(2**32 - 1) / values.shape[axis], float(2**23 - 1))
    steps = np.arange(-255, 1) * np.float64(np.float32(x_scale))
    table = np.rint(largest * np.exp(steps)).astype(np.int64)
    raw = values.astype(np.int64)
    exponentials = table[raw + 255 - raw.max(axis=axis, keepdims=True)]
    total = exponentials.sum(axis=axis, keepdims=True)
    steps_of_result = int(np.floor(np.float32(1) / np.float32(y_scale)))
    quotient = (exponentials * steps_of_result + (total >> 1)) // total + y_zero
    return np.clip(quotient, limits.min, limits.max).astype(values.dtype)


_STEPS: dict[str, Callable[..., Array]] = {
    "dequantize": lambda x, scale, zero_point: dequantize(x, scale, zero_point),
    "softmax": lambda x, axis: softmax(x, axis),
    "transpose": lambda x, perm: np.ascontiguousarray(x.transpose(perm)),
    "quantizedsoftmax": lambda x, **constants: quantized_softmax(x, **constants),
    "reshape": lambda x, shape: x.reshape(x.shape[0], *shape),
}


def apply_tail(values: Array, output: Output) -> Array:
    """The model's output from the device's integers: ``values`` [N, C, H, W] through the output's host steps."""
    result = values.reshape(values.shape[0], *output.shape)
    for step in output.tail:
        arguments = {name: value for name, value in step.items() if name != "op"}
        result = _STEPS[step["op"]](result, **arguments)
    return result


def to_integers(values: Array, port: Input) -> Array:
    """A batch for a model input as the integers of its slot, [N, *shape].

    Raises ``InputError`` for a wrong shape or dtype.
    """
    if tuple(values.shape[1:]) != port.shape or values.ndim != len(port.shape) + 1:
        raise InputError(f"input {port.name!r}: shape {list(values.shape)} given, [N, {', '.join(map(str, port.shape))}] "
                         "wanted (N: any number of images)")
    dtype = np.dtype(port.slot.dtype)
    if port.scale is None:
        if values.dtype != dtype:
            raise InputError(f"input {port.name!r}: dtype {values.dtype} given, {dtype} wanted")
        return values
    if values.dtype != np.float32:
        raise InputError(f"input {port.name!r}: dtype {values.dtype} given, float32 wanted")
    if not np.isfinite(values).all():
        raise InputError(f"input {port.name!r}: holds NaN or infinity, which have no quantized value")
    return quantize(values, port.scale, port.zero_point, dtype)


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
