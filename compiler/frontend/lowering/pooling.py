"""Lowers pooling: MaxPool to MaxPool of integers, averages to com.microsoft.QLinearAveragePool and its global form."""

from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute, attributes_of
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.opsets import MAX_POOL_OPSET, MICROSOFT
from arrayloom.compiler.frontend.report import RefusalError

_LEAST_RATIO, _MOST_RATIO = 2.0**-32, 256.0
POOL_ATTRIBUTES = ("auto_pad", "ceil_mode", "kernel_shape", "pads", "strides")


def lower_max_pool(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, MaxPool to MaxPool, DequantizeLinear: a positive scale keeps the order of values."""
    x = rewrite.source(node.input[0])
    check_max_pool_opset(rewrite)
    if len(node.output) > 1 and node.output[1]:
        remedy = "use only the maxima: the accelerator has no unpooling"
        raise RefusalError("the indices of its maxima are used", remedy, f"'{node.output[1]}'")
    attributes = attributes_of(node)
    _emit_max_pool(rewrite, node, x, attributes)


def lower_global_max_pool(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, GlobalMaxPool to MaxPool over the whole image, DequantizeLinear."""
    check_max_pool_opset(rewrite)
    _emit_max_pool(
        rewrite, node, rewrite.source(node.input[0]), {"kernel_shape": rewrite.model.shapes[node.input[0]][2:]}
    )


def _emit_max_pool(rewrite: Rewrite, node: onnx.NodeProto, x: Source, attributes: dict[str, Any]) -> None:
    output = rewrite.fresh(f"{node.output[0]}_quantized")
    rewrite.emit("MaxPool", quant_name(node), [x.name], output, **attributes)
    rewrite.set_source(node.output[0], Source(output, x.quantization))


def check_max_pool_opset(rewrite: Rewrite) -> None:
    """Refuses an operator set without MaxPool of integers."""
    if rewrite.model.opset < MAX_POOL_OPSET:
        raise RefusalError(
            f"operator set {rewrite.model.opset} has no MaxPool of integers",
            f"convert the model to operator set {MAX_POOL_OPSET} or later with onnx.version_converter",
        )


def lower_average_pool(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, AveragePool, QuantizeLinear to QLinearAveragePool."""
    if any(step != 1 for step in attribute(node, "dilations", [])):
        raise RefusalError(
            "ONNX Runtime has no quantized average pooling with dilation",
            "use dilation 1",
            f"dilations = {attribute(node, 'dilations')}",
        )
    names = (*POOL_ATTRIBUTES, "count_include_pad")
    attributes = {name: attribute(node, name) for name in names if attribute(node, name) is not None}
    x = rewrite.source(node.input[0])
    for target in find_targets(rewrite, node.output[0]):
        emit_average(rewrite, node, "QLinearAveragePool", (x, target), clamped(rewrite, target), **attributes)


def lower_global_average_pool(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, GlobalAveragePool, QuantizeLinear to QLinearGlobalAveragePool."""
    x = rewrite.source(node.input[0])
    count = int(np.prod(rewrite.model.shapes[node.input[0]][2:]))
    for target in find_targets(rewrite, node.output[0]):
        _check_ratio(float(x.quantization.scale) / (float(target.quantization.scale) * count))
        emit_average(
            rewrite, node, "QLinearGlobalAveragePool", (x, target), clamped(rewrite, target), channels_last=0
        )


def _check_ratio(ratio: float) -> None:
    """Refuses a mean whose sums ONNX Runtime cannot scale: MlasQLinearGlobalAveragePool takes ratios from 2**-32 to 256."""
    if not _LEAST_RATIO <= ratio < _MOST_RATIO:
        raise RefusalError(
            "the ratio of its scales is outside ONNX Runtime's range, 2**-32 to 256",
            "calibrate again with data that reaches this tensor",
            f"ratio = {ratio:.3g}",
        )


def emit_average(
    rewrite: Rewrite, node: onnx.NodeProto, operator: str, ends: tuple[Source, Target], output: str, **attributes: object
) -> None:
    """Emits a quantized average pooling; `ends` are its operand and its target, `output` is the name of its result."""
    x, target = ends
    check_dtypes([x.quantization], target)
    inputs = [*rewrite.operand(x), *rewrite.parameters(target.name, target.quantization)]
    rewrite.emit(operator, quant_name(node), inputs, output, domain=MICROSOFT, **attributes)
