"""Lowers Conv, Gemm and MatMul to QLinearConv, com.microsoft.QGemm and QLinearMatMul."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.lowering.operands import Bias, find_bias, find_weight
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.quantization import Weight
from arrayloom.compiler.frontend.report import RefusalError, node_name
from arrayloom.compiler.frontend.runtime import Array

CONV_ATTRIBUTES = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")


def lower_conv(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, Conv, [Relu, Clip], QuantizeLinear to QLinearConv, [Clip]."""
    x = rewrite.source(node.input[0])
    weight = find_weight(rewrite, node.input[1], channel_axis=0)
    bias = find_bias(rewrite, node, 2, Bias(product_scale(x, weight), weight.values.shape[0]))
    attributes = {name: attribute(node, name) for name in CONV_ATTRIBUTES if attribute(node, name) is not None}
    for target in find_targets(rewrite, node.output[0]):
        check_kernel(x, weight, target)
        inputs = [*rewrite.operand(x), *weight_inputs(rewrite, node, weight), *_result(rewrite, target)]
        if bias is not None:
            inputs.append(rewrite.constant(f"{node_name(node)}_bias_quantized", bias))
        rewrite.emit("QLinearConv", quant_name(node), inputs, clamped(rewrite, target), **attributes)


def lower_gemm(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, Gemm, [Relu, Clip], QuantizeLinear to QGemm, [Clip]."""
    if attribute(node, "transA", 0):
        raise RefusalError("its first operand is transposed, which would mix images", "use transA = 0", "transA = 1")
    if attribute(node, "beta", 1.0) != 1.0 and len(node.input) > 2:
        raise RefusalError("its bias is scaled", "fold beta into the bias", f"beta = {attribute(node, 'beta')}")
    transposed = int(attribute(node, "transB", 0))
    alpha = np.float32(attribute(node, "alpha", 1.0))
    x = rewrite.source(node.input[0])
    weight = find_weight(rewrite, node.input[1], channel_axis=0 if transposed else 1)
    width = weight.values.shape[0 if transposed else 1]
    bias = find_bias(rewrite, node, 2, Bias(alpha * product_scale(x, weight), width))
    for target in find_targets(rewrite, node.output[0]):
        _emit_gemm(rewrite, node, (x, weight, bias), target, alpha=float(alpha), transB=transposed)


def lower_matmul(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, MatMul, [Add of a bias], [Relu, Clip], QuantizeLinear to QLinearMatMul or QGemm, [Clip].

    An earlier pass has already replaced products of rank 3 and 4 by convolutions.
    """
    x = rewrite.source(node.input[0])
    weight = find_weight(rewrite, node.input[1], channel_axis=1)
    if len(rewrite.model.shapes[node.input[0]]) != 2 or weight.values.ndim != 2:
        raise RefusalError(
            f"a product of {rewrite.model.shapes[node.input[0]]} by {weight.values.shape}",
            "use [N, F], [N, L, F] or [N, H, W, F] by one matrix [F, M]",
            f"input '{node.input[0]}'",
        )
    add = _bias_add(rewrite, node)
    if add is None:
        for target in find_targets(rewrite, node.output[0]):
            check_kernel(x, weight, target)
            inputs = [*rewrite.operand(x), *weight_inputs(rewrite, node, weight), *_result(rewrite, target)]
            rewrite.emit("QLinearMatMul", quant_name(node), inputs, clamped(rewrite, target))
        return
    index = 1 if add.input[0] == node.output[0] else 0
    bias = find_bias(rewrite, add, index, Bias(product_scale(x, weight), weight.values.shape[1]))
    for target in find_targets(rewrite, add.output[0]):
        _emit_gemm(rewrite, node, (x, weight, bias), target, alpha=1.0, transB=0)


def _bias_add(rewrite: Rewrite, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Returns the Add of a constant that is the only reader of a MatMul's result, or None."""
    model = rewrite.model
    reader = model.only_reader(node.output[0])
    if reader is None or reader.op_type != "Add":
        return None
    return reader if any(model.is_constant(name) for name in reader.input) else None


def _emit_gemm(
    rewrite: Rewrite,
    node: onnx.NodeProto,
    operands: tuple[Source, Weight, Array | None],
    target: Target,
    **attributes: float,
) -> None:
    x, weight, bias = operands
    check_kernel(x, weight, target)
    c = "" if bias is None else rewrite.constant(f"{node_name(node)}_bias_quantized", bias)
    inputs = [*rewrite.operand(x), *weight_inputs(rewrite, node, weight), c, *_result(rewrite, target)]
    rewrite.emit("QGemm", quant_name(node), inputs, clamped(rewrite, target), domain=MICROSOFT, **attributes)


def product_scale(x: Source, weight: Weight) -> Array:
    """Returns fl(x_scale * w_scale), the scale of a bias."""
    return x.quantization.scale * weight.scale


def _result(rewrite: Rewrite, target: Target) -> tuple[str, str]:
    return rewrite.parameters(target.name, target.quantization)


def weight_inputs(rewrite: Rewrite, node: onnx.NodeProto, weight: Weight) -> list[str]:
    """Adds the initializers of a weight for a QLinear operator and returns their names: values, scale, zero point."""
    name = node_name(node)
    zero_point = np.broadcast_to(weight.zero_point, weight.scale.shape).copy()
    return [
        rewrite.constant(f"{name}_weight_quantized", weight.values),
        rewrite.constant(f"{name}_weight_scale", weight.scale),
        rewrite.constant(f"{name}_weight_zero_point", zero_point),
    ]


def check_kernel(x: Source, weight: Weight, target: Target) -> None:
    """Refuses the combinations of dtypes for which ONNX Runtime has no kernel."""
    if x.quantization.dtype == np.int8 and weight.values.dtype == np.uint8:
        raise RefusalError("ONNX Runtime has no int8 activations with uint8 weights", "quantize the weights to int8")
    check_dtypes([x.quantization], target)
