"""Lowers ConvTranspose to an insertion of zeros between pixels and a QLinearConv."""

from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.matrix import check_kernel, product_scale, weight_inputs
from arrayloom.compiler.frontend.lowering.operands import Bias, find_bias, find_weight
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, clamped, find_targets
from arrayloom.compiler.frontend.quantization import Weight
from arrayloom.compiler.frontend.report import RefusalError, node_name


@dataclass(frozen=True)
class _Axis:
    """One spatial axis: `begin` and `end` are the padding of the convolution; negative padding cuts off pixels."""

    extent: int
    stride: int
    begin: int
    end: int


def lower_conv_transpose(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, ConvTranspose, [Relu, Clip], QuantizeLinear to Reshape, Pad, Reshape, QLinearConv, [Clip].

    Zero points of x are inserted between the pixels and the kernel is flipped, which gives the same integer sums.
    """
    x = rewrite.source(node.input[0])
    found = find_weight(rewrite, node.input[1], channel_axis=1)
    group = int(attribute(node, "group", 1))
    if group > 1 and found.scale.ndim:
        raise RefusalError(
            f"its weights have {found.scale.size} scales, which its {group} groups share",
            "quantize the weights per tensor, or split the groups",
        )
    weight = Weight(_turned(found.values, group), found.scale, found.zero_point)
    bias = find_bias(rewrite, node, 2, Bias(product_scale(x, weight), weight.values.shape[0]))
    axes = _axes(rewrite, node)
    spread = _insert(rewrite, node, x, axes)
    inputs = [*rewrite.operand(Source(spread, x.quantization)), *weight_inputs(rewrite, node, weight)]
    inputs += [""] * 2 if bias is None else ["", "", rewrite.constant(f"{node_name(node)}_bias_quantized", bias)]
    for target in find_targets(rewrite, node.output[0]):
        check_kernel(x, weight, target)
        _emit(rewrite, node, inputs, target, axes, group)


def _emit(
    rewrite: Rewrite, node: onnx.NodeProto, inputs: list[str], target: Target, axes: list[_Axis], group: int
) -> None:
    operands = list(inputs)
    operands[6:8] = rewrite.parameters(target.name, target.quantization)
    padding = [*(max(axis.begin, 0) for axis in axes), *(max(axis.end, 0) for axis in axes)]
    dilations = attribute(node, "dilations", [1] * len(axes))
    output = clamped(rewrite, target)
    rewrite.emit("QLinearConv", quant_name(node), operands, output, group=group, pads=padding, dilations=dilations)


def _turned(values: np.ndarray, group: int) -> np.ndarray:
    """Converts weights [C, M / group, *kernel] to those of a convolution, [M, C / group, *kernel], kernel flipped."""
    channels, made, *kernel = values.shape
    grouped = values.reshape(group, channels // group, made, *kernel).swapaxes(1, 2)
    turned = grouped.reshape(group * made, channels // group, *kernel)
    return np.ascontiguousarray(np.flip(turned, axis=tuple(range(2, turned.ndim))))


def _axes(rewrite: Rewrite, node: onnx.NodeProto) -> list[_Axis]:
    """Returns the padding of the convolution for each axis.

    The padding at the front follows from the model's padding, that at the end from the size of the result.
    """
    model = rewrite.model
    extents, outputs = model.shapes[node.input[0]][2:], model.shapes[node.output[0]][2:]
    kernel = model.shapes[node.input[1]][2:]
    count = len(extents)
    strides, dilations = (attribute(node, name, [1] * count) for name in ("strides", "dilations"))
    added = attribute(node, "output_padding", [0] * count)
    axes = []
    for i in range(count):
        span = (kernel[i] - 1) * dilations[i]
        total = strides[i] * (extents[i] - 1) + added[i] + span + 1 - outputs[i]
        begin = span - _front(node, i, total)
        spread = extents[i] * strides[i]
        axes.append(_Axis(extents[i], strides[i], begin, outputs[i] + span - begin - spread))
    return axes


def _front(node: onnx.NodeProto, axis: int, total: int) -> int:
    """Returns how many of the `total` cut-off elements are at the front, as the ONNX specification defines it."""
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "SAME_UPPER":
        return total // 2
    if mode == "SAME_LOWER" or attribute(node, "output_shape"):
        return total - total // 2
    return int(attribute(node, "pads", [0] * 8)[axis]) if mode == "NOTSET" else 0


def _insert(rewrite: Rewrite, node: onnx.NodeProto, x: Source, axes: list[_Axis]) -> str:
    """Emits `stride` - 1 zero points after each pixel of every axis, and a Pad that removes pixels for negative padding."""
    channels = rewrite.model.shapes[node.input[0]][1]
    value, zero = x.name, np.array(x.quantization.zero_point, x.quantization.dtype)
    if any(axis.stride > 1 for axis in axes):
        apart = [extent for axis in axes for extent in (axis.extent, 1)]
        after = [amount for axis in axes for amount in (0, axis.stride - 1)]
        value = rewrite.through(node, "Reshape", value, np.array([0, channels, *apart]))
        amounts = np.array([0] * (2 + len(apart)) + [0, 0, *after])
        value = rewrite.through(node, "Pad", value, amounts, zero)
        value = rewrite.through(node, "Reshape", value, np.array([0, channels, *(a.extent * a.stride for a in axes)]))
    cuts = [min(axis.begin, 0) for axis in axes], [min(axis.end, 0) for axis in axes]
    if any(cuts[0]) or any(cuts[1]):
        value = rewrite.through(node, "Pad", value, np.array([0, 0, *cuts[0], 0, 0, *cuts[1]]), zero)
    return value
