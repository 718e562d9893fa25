"""Bounds of Relu and Clip, in float and as integers of a quantization."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import Quantization
from arrayloom.compiler.frontend.report import RefusalError


def bounds_of(model: Model, node: onnx.NodeProto) -> tuple[float, float]:
    """Returns the lower and the upper bound of a Relu or a Clip."""
    if node.op_type == "Relu":
        return 0.0, float("inf")
    limits = []
    for index, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = len(node.input) > index and node.input[index]
        if given and not model.is_constant(node.input[index]):
            raise RefusalError(f"the bound '{node.input[index]}' of {described(node)} is not constant", "make it constant")
        value = model.constant(node, index)
        limits.append(attribute(node, name, default) if value is None else float(value.reshape(())))
    return limits[0], limits[1]


def exact_bounds(model: Model, node: onnx.NodeProto, quantization: Quantization) -> tuple[int, int]:
    """Returns the bounds on integers that have the same effect as a Relu or a Clip of their dequantized values.

    Raises
    ------
    RefusalError
        A bound takes effect and lies between two steps of the scale, so that no integer represents the result.
    """
    info = np.iinfo(quantization.dtype)
    lower, upper = bounds_of(model, node)
    lo, hi = int(info.min), int(info.max)
    if lower > quantization.dequantize(lo):
        lo = _on_grid(node, quantization, lower)
    if upper < quantization.dequantize(hi):
        hi = _on_grid(node, quantization, upper)
    return lo, hi


def _on_grid(node: onnx.NodeProto, quantization: Quantization, bound: float) -> int:
    byte = quantization.quantize(bound)
    if quantization.dequantize(byte) != np.float32(bound):
        raise RefusalError(
            f"its input is bounded in float by {described(node)} at {bound:.9g}, "
            f"which lies between two steps of the scale {quantization.scale:.9g}",
            f"put QuantizeLinear and DequantizeLinear after {described(node)}",
        )
    return byte
