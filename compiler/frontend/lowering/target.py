"""Where the result of a float operator goes: through activations into a QuantizeLinear."""

from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.report import RefusalError, node_name, operator_name

CLIP_OPSET = 12  # the first whose Clip takes 8-bit integers


@dataclass(frozen=True)
class Target:
    """An integer value to be computed in place of a QuantizeLinear's output.

    Attributes:
        name: the QuantizeLinear's output.
        quantization: of that output.
        lo, hi: what Relu and Clip before the QuantizeLinear leave of its range. Quantizing is monotone, so that
            clipping and then quantizing equals quantizing and then clipping to the quantized bounds.
    """

    name: str
    quantization: Quantization
    lo: int
    hi: int


def find_targets(rewrite: Rewrite, value: str) -> list[Target]:
    """All integer values that the float value `value` is quantized to."""
    model = rewrite.model
    bounds = []
    while True:
        readers = model.consumers.get(value, [])
        if value in model.outputs:
            raise RefusalError(f"its result '{value}' leaves the model in float", "quantize the output")
        if len(readers) != 1 or readers[0].op_type not in ("Relu", "Clip") or model.is_constant(value):
            break
        bounds.append(_bounds(model, readers[0]))
        value = readers[0].output[0]
    for reader in readers:
        if reader.op_type != "QuantizeLinear":
            raise RefusalError(
                f"its result '{value}' is not quantized before {operator_name(reader)} '{node_name(reader)}'",
                "put QuantizeLinear and DequantizeLinear between the two",
            )
    return [_target(model, reader, bounds) for reader in readers]


def clamped(rewrite: Rewrite, target: Target) -> str:
    """The name under which to compute the target's value: its own, or that of the operand of a Clip emitted here."""
    dtype = target.quantization.dtype
    info = np.iinfo(dtype)
    if target.lo == info.min and target.hi == info.max:
        return target.name
    if rewrite.model.opset < CLIP_OPSET:
        raise RefusalError(
            f"operator set {rewrite.model.opset} has no Clip of integers, which its Relu or Clip needs here",
            f"convert the model to operator set {CLIP_OPSET} or later with onnx.version_converter",
        )
    unclamped = rewrite.fresh(f"{target.name}_unclamped")
    lo = rewrite.constant(f"{target.name}_lo", np.array(target.lo, dtype))
    hi = rewrite.constant(f"{target.name}_hi", np.array(target.hi, dtype))
    rewrite.emit("Clip", f"{target.name}_clamp", [unclamped, lo, hi], target.name)
    return unclamped


def _bounds(model: Model, node: onnx.NodeProto) -> tuple[float, float]:
    if node.op_type == "Relu":
        return 0.0, float("inf")
    limits = []
    for index, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = len(node.input) > index and node.input[index]
        if given and not model.is_constant(node.input[index]):
            raise RefusalError(f"the bound '{node.input[index]}' of Clip '{node_name(node)}' is not constant", "fix it")
        value = model.constant(node, index)
        limits.append(attribute(node, name, default) if value is None else float(value.reshape(())))
    return limits[0], limits[1]


def _target(model: Model, node: onnx.NodeProto, bounds: list[tuple[float, float]]) -> Target:
    quantization = of_quantizer(model, node)
    info = np.iinfo(quantization.dtype)
    lo, hi = int(info.min), int(info.max)
    for low, high in bounds:
        first, last = quantization.quantize(low), quantization.quantize(high)
        lo, hi = (min(max(bound, first), last) for bound in (lo, hi))
    return Target(node.output[0], quantization, lo, hi)
