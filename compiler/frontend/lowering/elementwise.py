"""Add and Concat of several quantized values to their com.microsoft.QLinear forms."""

import onnx

from compiler.frontend.attributes import attribute
from compiler.frontend.lowering.rewrite import MICROSOFT, Rewrite, quant_name
from compiler.frontend.lowering.target import Target, clamped, find_targets
from compiler.frontend.quantization import Quantization
from compiler.frontend.report import RefusalError


def lower_add(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Two DequantizeLinear, Add, [Relu, Clip], QuantizeLinear to QLinearAdd, [Clip].

    The Add of a constant is a function of one element and stays: it becomes a table or, behind a MatMul, a bias.
    """
    if any(rewrite.model.is_constant(name) for name in node.input):
        return
    sources = [rewrite.source(name) for name in node.input]
    for target in find_targets(rewrite, node.output[0]):
        _check_dtypes([source.quantization for source in sources], target)
        inputs = [name for source in sources for name in rewrite.operand(source)]
        inputs += rewrite.parameters(target.name, target.quantization)
        rewrite.emit("QLinearAdd", quant_name(node), inputs, clamped(rewrite, target), domain=MICROSOFT)


def lower_concat(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Several DequantizeLinear, Concat, [Relu, Clip], QuantizeLinear to QLinearConcat, [Clip]."""
    sources = [rewrite.source(name) for name in node.input]
    axis = attribute(node, "axis")
    for target in find_targets(rewrite, node.output[0]):
        _check_dtypes([source.quantization for source in sources], target)
        inputs = list(rewrite.parameters(target.name, target.quantization))
        inputs += [name for source in sources for name in rewrite.operand(source)]
        output = clamped(rewrite, target)
        rewrite.emit("QLinearConcat", quant_name(node), inputs, output, domain=MICROSOFT, axis=axis)


def _check_dtypes(operands: list[Quantization], target: Target) -> None:
    dtypes = {str(operand.dtype) for operand in operands} | {str(target.quantization.dtype)}
    if len(dtypes) > 1:
        raise RefusalError(
            f"its operands and its result differ in dtype ({', '.join(sorted(dtypes))})",
            "quantize all to the same dtype, as ONNX Runtime's kernels need",
        )
