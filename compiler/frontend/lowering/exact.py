"""Exact functions of integers: negatives, constants in another dtype, maxima and minima."""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.opsets import CLIP_OPSET
from arrayloom.compiler.frontend.quantization import Quantization
from arrayloom.compiler.frontend.report import RefusalError


def extreme(rewrite: Rewrite, node: onnx.NodeProto, operator: str, names: Sequence[str], output: str) -> None:
    """Emits Max or Min of integers with the same quantization, two operands at a time."""
    if rewrite.model.opset < CLIP_OPSET:
        raise RefusalError(
            f"operator set {rewrite.model.opset} has no {operator} of integers",
            f"convert the model to operator set {CLIP_OPSET} or later with onnx.version_converter",
        )
    result = names[0]
    for index, name in enumerate(names[1:], start=2):
        made = output if index == len(names) else rewrite.fresh(f"{output}_{operator}")
        rewrite.emit(operator, quant_name(node), [result, name], made)
        result = made


def negative(rewrite: Rewrite, source: Source) -> Source:
    """Returns the exact negative of a value: byte b with zero point z becomes lo + hi - b with zero point lo + hi - z."""
    given = source.quantization
    info = np.iinfo(given.dtype)
    mirror = int(info.min) + int(info.max)
    made = Quantization(given.scale, mirror - given.zero_point, given.dtype)
    name = rewrite.fresh(f"{source.name}_negative")
    if rewrite.model.is_constant(source.name):
        values = (mirror - rewrite.model.constants[source.name].astype(np.int32)).astype(given.dtype)
        return Source(rewrite.constant(name, values), made)
    real, negated = rewrite.fresh(f"{name}_real"), rewrite.fresh(f"{name}_negated")
    rewrite.emit("DequantizeLinear", f"{name}_DequantizeLinear", rewrite.operand(source), real)
    rewrite.emit("Neg", f"{name}_Neg", [real], negated)
    rewrite.emit("QuantizeLinear", f"{name}_QuantizeLinear", [negated, *rewrite.parameters(name, made)], name)
    return Source(name, made)


def relabelled(rewrite: Rewrite, source: Source, dtype: np.dtype) -> Source:
    """Returns a constant as bytes of another dtype with the same values; activations are returned unchanged."""
    given = source.quantization
    if given.dtype == dtype or not rewrite.model.is_constant(source.name):
        return source
    shift = int(np.iinfo(dtype).min) - int(np.iinfo(given.dtype).min)
    values = (rewrite.model.constants[source.name].astype(np.int32) + shift).astype(dtype)
    name = rewrite.constant(f"{source.name}_{dtype}", values)
    return Source(name, Quantization(given.scale, given.zero_point + shift, dtype))
