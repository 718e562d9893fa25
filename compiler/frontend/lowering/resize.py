"""Lowers linear Resize and Upsample to Gathers of rows and columns and a depthwise QLinearConv."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.interpolation import Axis, interpolated_axes
from arrayloom.compiler.frontend.kinds import is_interpolation
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.report import node_name


def lower_resize(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, Resize, [Relu, Clip], QuantizeLinear to Gather, Gather, QLinearConv, [Clip].

    The sums are exact and rounded once. The float result of ONNX Runtime differs from them by at most float rounding and, if
    the note says so, by the rounding of the weights.
    """
    if not is_interpolation(node):
        return
    axes = interpolated_axes(rewrite.model, node)
    x = rewrite.source(node.input[0])
    spread = x.name
    for number, axis in enumerate(axes, start=2):
        if not np.array_equal(axis.places, np.arange(rewrite.model.shapes[node.input[0]][number])):
            spread = rewrite.through(node, "Gather", spread, axis.places, axis=number)
    rewrite.report.notes.append(_note(node, axes))
    channels = rewrite.model.shapes[node.input[0]][1]
    weight = [rewrite.constant(f"{node_name(node)}_{what}", value) for what, value in _weight(axes, channels)]
    for target in find_targets(rewrite, node.output[0]):
        check_dtypes([x.quantization], target)
        made = rewrite.parameters(target.name, target.quantization)
        inputs = [*rewrite.operand(Source(spread, x.quantization)), *weight, *made]
        strides = [axis.stride for axis in axes]
        rewrite.emit("QLinearConv", quant_name(node), inputs, clamped(rewrite, target), group=channels, strides=strides)


def _weight(axes: list[Axis], channels: int) -> list[tuple[str, np.ndarray]]:
    """Returns the weight's bytes [C, 1, *kernel], scale and zero point, each with its name."""
    kernel, parts = np.ones((), np.int64), 1
    for axis in axes:
        kernel, parts = np.multiply.outer(kernel, axis.kernel), parts * axis.parts
    values = np.broadcast_to(kernel.astype(np.int8), (channels, 1, *kernel.shape)).copy()
    scale, zero_point = np.array(1 / parts, np.float32), np.array(0, np.int8)
    return [("weight", values), ("weight_scale", scale), ("weight_zero_point", zero_point)]


def _note(node: onnx.NodeProto, axes: list[Axis]) -> str:
    parts = " and ".join(str(axis.parts) for axis in axes)
    error = max(axis.error for axis in axes)
    exact = error < 1e-3  # weights come from float32 coordinates
    rounded = "" if exact else f", which rounds them by up to {error:.2g}"
    return (f"'{node_name(node)}' interpolates with integer weights in units of 1 / {parts}{rounded}: its sums are exact "
            "and rounded once")
