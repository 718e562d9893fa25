"""Constant operands of matrix operators: weights and biases."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.quantization import CONSTANT_WEIGHTS, Weight, dequantizer_axis, weight
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array

#: The largest relative difference between a bias scale and x_scale * w_scale; the order of rounding may differ.
RELATIVE_ROUNDING = 2.0**-20


@dataclass(frozen=True)
class Bias:
    """What a bias must have: dtype int32, this scale (0-D or per channel) and this number of channels."""

    scale: NDArray[np.float32]
    channels: int


def find_weight(rewrite: Rewrite, value: str, channel_axis: int) -> Weight:
    """Returns the constant bytes of a dequantized weight, quantized per tensor or per channel along `channel_axis`."""
    model = rewrite.model
    node = model.producers.get(value)
    if not model.is_constant(value):
        raise RefusalError(
            f"its second operand '{value}' is not constant", CONSTANT_WEIGHTS
        )
    orders = []
    while node is not None and node.op_type == "Transpose":
        value, order = node.input[0], attribute(node, "perm", range(len(model.shapes[node.input[0]]))[::-1])
        orders.append(order)
        channel_axis, node = order[channel_axis], model.producers.get(value)
    if node is None or node.op_type != "DequantizeLinear":
        raise RefusalError(
            f"its weights '{value}' are float", "quantize the weights too, with DequantizeLinear after them"
        )
    found = weight(model, (node.input[0], node.input[1], node.input[2] if len(node.input) > 2 else ""))
    axis = dequantizer_axis(node, found.values.ndim)
    if found.scale.ndim and axis != channel_axis:
        raise RefusalError(
            f"its weights are quantized along axis {axis}",
            f"quantize them per tensor or along axis {channel_axis}, the output channels",
            f"axis = {axis}",
        )
    values = found.values
    for order in reversed(orders):
        values = values.transpose(order)
    return Weight(np.ascontiguousarray(values), found.scale, found.zero_point)


def find_bias(rewrite: Rewrite, node: onnx.NodeProto, index: int, wanted: Bias) -> NDArray[np.int32] | None:
    """Returns the int32 bias [channels] at an input of `node`, or None if the input is left out.

    A float bias is quantized with the wanted scale, as ONNX Runtime does, and the report gets a note.
    """
    model = rewrite.model
    if len(node.input) <= index or not node.input[index]:
        return None
    value = node.input[index]
    if not model.is_constant(value):
        raise RefusalError(f"its bias '{value}' is not constant", "use a constant bias")
    producer = model.producers.get(value)
    if producer is not None and producer.op_type == "DequantizeLinear" and _is_int32(model, producer):
        _check_scale(model, producer, wanted)
        return _spread(model.constants[producer.input[0]], wanted.channels)
    rewrite.report.notes.append(f"the float bias '{value}' of '{origin_name(node)}' is quantized to int32 here")
    return _quantize(_spread(model.constants[value], wanted.channels), wanted.scale)


def _is_int32(model: Model, node: onnx.NodeProto) -> bool:
    return model.dtypes[node.input[0]] == np.int32


def _check_scale(model: Model, node: onnx.NodeProto, wanted: Bias) -> None:
    zero_point = model.constant(node, 2)
    if zero_point is not None and np.any(zero_point):
        raise RefusalError("its bias has a zero point", "quantize the bias with zero point 0", f"'{node.input[2]}'")
    scale = model.constants[node.input[1]].reshape(-1)
    expected = wanted.scale.reshape(-1)
    if not np.allclose(scale.astype(np.float64), expected.astype(np.float64), rtol=RELATIVE_ROUNDING, atol=0):
        raise RefusalError(
            f"its bias has scale {scale[0]:.9g}, x_scale * w_scale is {expected[0]:.9g}",
            "quantize the bias with x_scale * w_scale",
            f"scale '{node.input[1]}'",
        )


def _spread(values: Array, channels: int) -> Array:
    if values.size not in (1, channels) or values.shape[-1:] not in ((), (1,), (channels,)):
        raise RefusalError(f"its bias has shape {list(values.shape)}", f"use a bias of {channels} values")
    return np.broadcast_to(values.reshape(-1), (channels,)).copy()


def _quantize(values: Array, scale: NDArray[np.float32]) -> NDArray[np.int32]:
    info = np.iinfo(np.int32)
    return np.clip(np.rint(values / scale).astype(np.float64), info.min, info.max).astype(np.int32)
