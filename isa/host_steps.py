"""The steps that the host computes before the first and after the last instruction, as data of a program.

A step is a tag and plain numbers, stored in a program's header; its computation is defined here, once, for
compiler and host. A program file with a step that cannot be applied to its values is refused. ``fl`` is one rounding to
float32, ``rne`` rounds half to even, and ``clamp`` saturates to a dtype.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.attention import softmax as exact_softmax
from arrayloom.isa.attention import softmax_factor, softmax_table
from arrayloom.isa.errors import EncodingError
from arrayloom.isa.records import BytesType, record

Array = NDArray[Any]
Shape = tuple[int, ...]

TAG = "op"      # the key of a step's tag in its JSON object
SMALLEST_SOFTMAX_SCALE = 2.0**-9        # of a quantized softmax: below it ONNX Runtime's rounding is unknown
MOST_DIMENSIONS = 32    # dimensions of an array with its batch; the limit of numpy 1


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
    """com.microsoft.QLinearSoftmax along an axis."""
    limits = np.iinfo(values.dtype)
    table = softmax_table(np.float32(x_scale), values.shape[axis])
    rows = np.moveaxis(values.astype(np.int64), axis, -1)
    result = exact_softmax(rows, table, softmax_factor(np.float32(y_scale)), y_zero, (int(limits.min), int(limits.max)))
    return np.moveaxis(result, -1, axis).astype(values.dtype)


@dataclass(frozen=True)
class HostStep(ABC):
    """One step on a batch of images; dimension 0 is the batch. ``tag`` names it in files and never changes."""

    tag: ClassVar[str]

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """The step's result for ``values``, [N, ...]."""

    @abstractmethod
    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        """Shape and dtype of the result for values of ``dtype``, [N, *shape]; neither shape has the batch.

        Raises
        ------
        EncodingError
            The step cannot be applied to such values; the message names the field.
        """

    def require(self, holds: bool, rule: str) -> None:
        """Raises ``EncodingError`` with the rule if it is violated."""
        if not holds:
            raise EncodingError(f"host step {self.tag!r}: {rule}")

    def require_scale(self, name: str, scale: float) -> None:
        with np.errstate(over="ignore"):
            self.require(0 < float(np.float32(scale)) < math.inf, f"{name} = {scale} is not a positive float32")

    def require_zero_point(self, name: str, value: int, dtype: np.dtype[Any]) -> None:
        self.require(dtype.kind in "iu", f"takes integers, not {dtype}")
        limits = np.iinfo(dtype)
        self.require(limits.min <= value <= limits.max, f"{name} = {value} is not from {limits.min} to {limits.max}")

    def require_axis(self, axis: int, shape: Shape) -> None:
        self.require(1 <= axis <= len(shape), f"axis = {axis} is not from 1 to {len(shape)}, the dimensions after the batch")

    def require_float(self, dtype: np.dtype[Any]) -> None:
        self.require(dtype == np.float32, f"takes float32, not {dtype}")

    def to_json(self) -> dict[str, Any]:
        """The tag under ``op``, and the step's numbers under their names."""
        return {TAG: self.tag} | asdict(self)

    @staticmethod
    def from_json(value: Any, where: str) -> "HostStep":
        """Reads a step of any tag written by ``to_json``; ``where`` names its container in messages."""
        try:
            return step_from_json(value)
        except EncodingError as error:
            raise EncodingError(f"{where}: {error}") from None


@dataclass(frozen=True)
class Quantize(HostStep):
    """A float32 input of the model to integers: clamp(rne(fl(x / scale)) + zero_point) in ``dtype``, uint8 or int8."""

    tag: ClassVar[str] = "quantize"

    scale: float
    zero_point: int
    dtype: BytesType

    def apply(self, values: Array) -> Array:
        return quantize(values, self.scale, self.zero_point, np.dtype(self.dtype))

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        self.require_float(dtype)
        self.require_scale("scale", self.scale)
        self.require_zero_point("zero_point", self.zero_point, np.dtype(self.dtype))
        return shape, np.dtype(self.dtype)


@dataclass(frozen=True)
class Dequantize(HostStep):
    """Integers to float32: fl(fl(x - zero_point) * scale)."""

    tag: ClassVar[str] = "dequantize"

    scale: float
    zero_point: int

    def apply(self, values: Array) -> Array:
        return dequantize(values, self.scale, self.zero_point)

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        self.require_scale("scale", self.scale)
        self.require_zero_point("zero_point", self.zero_point, dtype)
        return shape, np.dtype(np.float32)


@dataclass(frozen=True)
class Softmax(HostStep):
    """Softmax in float32 along ``axis``."""

    tag: ClassVar[str] = "softmax"

    axis: int

    def apply(self, values: Array) -> Array:
        return softmax(values, self.axis)

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        self.require_float(dtype)
        self.require_axis(self.axis, shape)
        return shape, dtype


@dataclass(frozen=True)
class QuantizedSoftmax(HostStep):
    """com.microsoft.QLinearSoftmax of uint8 or int8 along ``axis``; the result has the operand's dtype. ``y_scale`` is at
    least 2**-9."""

    tag: ClassVar[str] = "quantizedsoftmax"

    axis: int
    x_scale: float
    y_scale: float
    y_zero: int

    def apply(self, values: Array) -> Array:
        return quantized_softmax(values, self.axis, self.x_scale, self.y_scale, self.y_zero)

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        self.require_axis(self.axis, shape)
        self.require_scale("x_scale", self.x_scale)
        self.require_scale("y_scale", self.y_scale)
        self.require(self.y_scale >= SMALLEST_SOFTMAX_SCALE, f"y_scale = {self.y_scale} is below 2**-9")
        self.require_zero_point("y_zero", self.y_zero, dtype)
        return shape, dtype


@dataclass(frozen=True)
class Reshape(HostStep):
    """The same elements in row-major order with ``shape``, which excludes the batch."""

    tag: ClassVar[str] = "reshape"

    shape: Shape

    def apply(self, values: Array) -> Array:
        return values.reshape(values.shape[0], *self.shape)

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        legal = len(self.shape) < MOST_DIMENSIONS and all(extent > 0 for extent in self.shape)
        self.require(legal and math.prod(self.shape) == math.prod(shape),
                     f"shape = {list(self.shape)} does not hold the elements of {list(shape)}")
        return self.shape, dtype


@dataclass(frozen=True)
class Transpose(HostStep):
    """Dimensions in the order ``perm``, which begins with 0, the batch."""

    tag: ClassVar[str] = "transpose"

    perm: tuple[int, ...]

    def apply(self, values: Array) -> Array:
        return np.ascontiguousarray(values.transpose(self.perm))

    def result(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[Shape, np.dtype[Any]]:
        order = range(len(shape) + 1)
        self.require(self.perm[:1] == (0,) and sorted(self.perm) == list(order),
                     f"perm = {list(self.perm)} is not an order of {list(order)} that begins with the batch, 0")
        return tuple(shape[place - 1] for place in self.perm[1:]), dtype


HOST_STEPS: dict[str, type[HostStep]] = {
    step.tag: step for step in (Quantize, Dequantize, Softmax, QuantizedSoftmax, Reshape, Transpose)}


def step_from_json(value: Any) -> HostStep:
    """Reads a step written by ``to_json``.

    Raises
    ------
    EncodingError
        The tag is unknown, or a field is unknown, missing or of another type; the message names it.
    """
    if not isinstance(value, Mapping):
        raise EncodingError(f"host step {value!r}: must be an object with the key {TAG!r}")
    tag = value.get(TAG)
    kind = HOST_STEPS.get(tag) if isinstance(tag, str) else None
    if kind is None:
        raise EncodingError(f"host step {tag!r}: unknown; known are {', '.join(HOST_STEPS)}")
    step: HostStep = record(kind, {name: content for name, content in value.items() if name != TAG}, f"host step {tag!r}")
    return step
