"""Scales and zero points of ONNX nodes."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.frontend.schemes import QUANTIZE
from arrayloom.isa.host_steps import dequantize, quantize

CONSTANT_WEIGHTS = ("make it a constant, compute this product of two activations after the accelerator's part, or compile "
                    "for a configuration with the ATTENTION unit, such as 16x16-vit")
_STATIC = f"quantize statically: {QUANTIZE}"
BYTES = (np.dtype(np.uint8), np.dtype(np.int8))

#: The product of a byte and a ratio below it is finite.
LARGEST_RATIO = 2.0**100


@dataclass(frozen=True)
class Quantization:
    """Per-tensor quantization of a uint8 or int8 tensor: real value = (byte - zero_point) * scale."""

    scale: np.float32
    zero_point: int
    dtype: np.dtype

    @property
    def bounds(self) -> tuple[float, float]:
        """The float32 values of the smallest and the largest byte."""
        info = np.iinfo(self.dtype)
        return float(self.dequantize(info.min)), float(self.dequantize(info.max))

    def quantize(self, value: float) -> int:
        """Returns the byte of a float32 value, as QuantizeLinear computes it."""
        return int(quantize(np.asarray(value), float(self.scale), self.zero_point, self.dtype))

    def dequantize(self, byte: int) -> np.float32:
        """Returns the float32 value of a byte, as DequantizeLinear computes it."""
        return np.float32(dequantize(np.asarray(byte), float(self.scale), self.zero_point))


@dataclass(frozen=True)
class Weight:
    """A constant quantized operand; scale and zero point are 0-D, or 1-D along the output channels."""

    values: Array
    scale: NDArray[np.float32]
    zero_point: Array


def scales(model: Model, name: str) -> NDArray[np.float32]:
    """Returns a scale of any shape, which must be constant, positive, finite and float32."""
    if not model.is_constant(name):
        raise RefusalError("a scale is computed at run time", _STATIC, f"scale '{name}'")
    value = model.constants[name]
    if value.dtype != np.float32:
        raise RefusalError(f"a scale has dtype {value.dtype}", "use float32 scales", f"scale '{name}'")
    if not np.all(np.isfinite(value) & (value > 0)):
        raise RefusalError(
            "a scale is zero, negative or not finite",
            "calibrate again with data that reaches this tensor",
            f"scale '{name}' = {value.ravel()[~(np.isfinite(value) & (value > 0)).ravel()][0]}",
        )
    return value


def zero_points(model: Model, name: str, like: Array) -> Array:
    """Returns a constant zero point; zeros with dtype and shape of `like` if the name is empty."""
    if not name:
        return np.zeros_like(like)
    if not model.is_constant(name):
        raise RefusalError("a zero point is computed at run time", _STATIC, f"zero point '{name}'")
    return model.constants[name]


def per_tensor(model: Model, scale: str, zero_point: str, dtype: np.dtype) -> Quantization:
    """Returns the quantization of an activation of `dtype` from the names of its scale and zero point."""
    if dtype not in BYTES:
        raise RefusalError(f"activations of dtype {dtype}", "quantize activations to uint8 or int8")
    scale_value = scales(model, scale)
    zero = zero_points(model, zero_point, np.zeros(scale_value.shape, dtype))
    if scale_value.size != 1 or zero.size != 1:
        raise RefusalError(
            f"activations quantized per channel ({scale_value.size} scales)",
            "quantize activations per tensor; weights may be per channel",
            f"scale '{scale}'",
        )
    return Quantization(np.float32(scale_value.reshape(())), int(zero.reshape(())), dtype)


def of_quantizer(model: Model, node: onnx.NodeProto) -> Quantization:
    """Returns the quantization of a QuantizeLinear's output or a DequantizeLinear's input."""
    integer = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
    zero_point = node.input[2] if len(node.input) > 2 else ""
    return per_tensor(model, node.input[1], zero_point, model.dtypes[integer])


def known_quantization(model: Model, node: onnx.NodeProto) -> Quantization | None:
    """Returns the result of `of_quantizer`, or None if that refuses: not per tensor, not constant or not of bytes."""
    try:
        return of_quantizer(model, node)
    except RefusalError:
        return None


def weight(model: Model, names: tuple[str, str, str]) -> Weight:
    """Returns a constant operand from the names of its bytes, scale and zero point."""
    if not model.is_constant(names[0]):
        raise RefusalError(
            "its weights are not constant", CONSTANT_WEIGHTS, f"'{names[0]}'"
        )
    values = model.constants[names[0]]
    if values.dtype not in BYTES:
        raise RefusalError(f"weights of dtype {values.dtype}", "quantize weights to 8 bits", f"'{names[0]}'")
    scale = scales(model, names[1])
    zero = zero_points(model, names[2], np.zeros(scale.shape, values.dtype))
    return Weight(values, _flat(scale), _flat(zero))


def dequantizer_axis(node: onnx.NodeProto, rank: int) -> int:
    """Returns the channel axis of a per-channel DequantizeLinear."""
    if attribute(node, "block_size", 0):
        raise RefusalError("block-wise quantization", "quantize per tensor or per channel", "block_size")
    axis = int(attribute(node, "axis", 1))
    return axis % rank


def _flat(value: Array) -> Array:
    return value.reshape(()) if value.size == 1 else value.reshape(-1)


def scale_ratio(given: Quantization, made: Quantization) -> np.float32:
    """Returns fl(given scale / made scale)."""
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.float32(given.scale / made.scale)
    if not 0 < ratio < LARGEST_RATIO:
        raise RefusalError("the ratio of its scales is outside the range of float32", "calibrate again",
                           f"{given.scale:.9g} / {made.scale:.9g}")
    return ratio
