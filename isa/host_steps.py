"""The steps that the host computes before the first and after the last instruction, as data of a program.

A step is its tag and plain numbers, so that it stands in a program's header; what it computes is defined here, once, for
compiler and host. ``fl`` is one rounding to float32, ``rne`` rounds half to even, and ``clamp`` saturates to a dtype.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.errors import EncodingError

Array = NDArray[Any]

TAG = "op"      # the key of a step's tag in its JSON object


def quantize(values: Array, scale: float, zero_point: int, dtype: np.dtype[Any]) -> Array:
    """QuantizeLinear: clamp(rne(fl(x / scale)) + zero_point) in ``dtype``, uint8 or int8."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):    # infinity saturates like any large value
        rounded = np.rint(values.astype(np.float32) / np.float32(scale)) + np.float32(zero_point)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


def dequantize(values: Array, scale: float, zero_point: int) -> NDArray[np.float32]:
    """DequantizeLinear: fl(fl(x - zero_point) * scale)."""
    return (values.astype(np.int32) - zero_point).astype(np.float32) * np.float32(scale)


def softmax(values: Array, axis: int) -> NDArray[np.float32]:
    """Softmax in float32 along ``axis``."""
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


@dataclass(frozen=True)
class HostStep(ABC):
    """One step on a batch of images; dimension 0 is the batch. ``tag`` names it in files and never changes."""

    tag: ClassVar[str]

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """The step's result for ``values``, [N, ...]."""

    def to_json(self) -> dict[str, Any]:
        """The tag under ``op``, and the step's numbers under their names."""
        return {TAG: self.tag} | asdict(self)


@dataclass(frozen=True)
class Quantize(HostStep):
    """A float32 input of the model to integers: clamp(rne(fl(x / scale)) + zero_point) in ``dtype``, uint8 or int8."""

    tag: ClassVar[str] = "quantize"

    scale: float
    zero_point: int
    dtype: str

    def apply(self, values: Array) -> Array:
        return quantize(values, self.scale, self.zero_point, np.dtype(self.dtype))


@dataclass(frozen=True)
class Dequantize(HostStep):
    """Integers to float32: fl(fl(x - zero_point) * scale)."""

    tag: ClassVar[str] = "dequantize"

    scale: float
    zero_point: int

    def apply(self, values: Array) -> Array:
        return dequantize(values, self.scale, self.zero_point)


@dataclass(frozen=True)
class Softmax(HostStep):
    """Softmax in float32 along ``axis``."""

    tag: ClassVar[str] = "softmax"

    axis: int

    def apply(self, values: Array) -> Array:
        return softmax(values, self.axis)


@dataclass(frozen=True)
class QuantizedSoftmax(HostStep):
    """com.microsoft.QLinearSoftmax of uint8 or int8 along ``axis``; the result has the operand's dtype."""

    tag: ClassVar[str] = "quantizedsoftmax"

    axis: int
    x_scale: float
    y_scale: float
    y_zero: int

    def apply(self, values: Array) -> Array:
        return quantized_softmax(values, self.axis, self.x_scale, self.y_scale, self.y_zero)


@dataclass(frozen=True)
class Reshape(HostStep):
    """The same elements in row-major order under ``shape``, which leaves out the batch."""

    tag: ClassVar[str] = "reshape"

    shape: tuple[int, ...]

    def apply(self, values: Array) -> Array:
        return values.reshape(values.shape[0], *self.shape)


@dataclass(frozen=True)
class Transpose(HostStep):
    """Dimensions in the order ``perm``, of which the batch, 0, is the first."""

    tag: ClassVar[str] = "transpose"

    perm: tuple[int, ...]

    def apply(self, values: Array) -> Array:
        return np.ascontiguousarray(values.transpose(self.perm))


HOST_STEPS: dict[str, type[HostStep]] = {
    step.tag: step for step in (Quantize, Dequantize, Softmax, QuantizedSoftmax, Reshape, Transpose)}


def step_from_json(value: Any) -> HostStep:
    """The step that ``to_json`` wrote.

    Raises
    ------
    EncodingError
        The tag is unknown, or a field is unknown, missing or of another type; the message names it.
    """
    if not isinstance(value, Mapping):
        raise EncodingError(f"host step {value!r}: must be an object with the key {TAG!r}")
    tag = value.get(TAG)
    step = HOST_STEPS.get(tag) if isinstance(tag, str) else None
    if step is None:
        raise EncodingError(f"host step {tag!r}: unknown; known are {', '.join(HOST_STEPS)}")
    kinds = {item.name: _annotation(item.type) for item in fields(step)}
    given = {name: content for name, content in value.items() if name != TAG}
    if unknown := sorted(map(str, given.keys() - kinds.keys())):
        raise EncodingError(f"host step {tag!r}: field {unknown[0]!r} is unknown; its fields are {', '.join(kinds)}")
    if missing := [name for name in kinds if name not in given]:
        raise EncodingError(f"host step {tag!r}: field {missing[0]!r} is missing")
    return step(**{name: _field(step, name, kinds[name], given[name]) for name in kinds})


def _field(step: type[HostStep], name: str, kind: str, value: Any) -> Any:
    wanted, legal, convert = _KINDS[kind]
    if not legal(value):
        raise EncodingError(f"host step {step.tag!r}: field {name!r} is {value!r}, not {wanted}")
    return convert(value)


def _annotation(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and kind in (float, int, str) else str(kind)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_float(value: Any) -> bool:
    return isinstance(value, float) or _is_int(value)


def _is_dtype(value: Any) -> bool:
    return value in ("uint8", "int8")


def _are_ints(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_int, value))


# By a field's annotation: what it holds in words, whether a value from JSON is that, and the value that the step holds.
_KINDS: dict[str, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    "float": ("a number", _is_float, float),
    "int": ("an integer", _is_int, int),
    "str": ("'uint8' or 'int8'", _is_dtype, str),
    "tuple[int, ...]": ("a list of integers", _are_ints, tuple),
}
