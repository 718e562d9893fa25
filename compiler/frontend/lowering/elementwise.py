"""Add, Mul and Concat of several quantized values to their com.microsoft.QLinear forms."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import NOTHING
from arrayloom.compiler.frontend.lowering.rewrite import MICROSOFT, Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, clamped, find_targets
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.report import RefusalError


def lower_add(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Two DequantizeLinear, Add, [Relu, Clip], QuantizeLinear to QLinearAdd, [Clip].

    The Add of a constant is a function of one element and stays: it becomes a table or, after a MatMul, a bias.
    """
    if any(rewrite.model.is_constant(name) for name in node.input):
        return
    _lower_binary(rewrite, node, "QLinearAdd")


def _lower_binary(rewrite: Rewrite, node: onnx.NodeProto, operator: str) -> None:
    sources = [rewrite.source(name) for name in node.input]
    for target in find_targets(rewrite, node.output[0]):
        _check_dtypes([source.quantization for source in sources], target)
        inputs = [name for source in sources for name in rewrite.operand(source)]
        inputs += rewrite.parameters(target.name, target.quantization)
        rewrite.emit(operator, quant_name(node), inputs, clamped(rewrite, target), domain=MICROSOFT)


def lower_mul(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Two DequantizeLinear, Mul, [Relu, Clip], QuantizeLinear to QLinearMul, [Clip].

    A Mul by a constant, or of two functions of one value, is a function of one element and stays: it becomes a table.
    """
    if not all(rewrite.stands_for_integers(name) for name in node.input):
        return
    _lower_binary(rewrite, node, "QLinearMul")


def lower_concat(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Several DequantizeLinear, Concat, [Relu, Clip], QuantizeLinear to QLinearConcat, [Clip].

    Where all operands have one scale and zero point the result has them too, and need not be quantized.
    """
    sources = [rewrite.source(name) for name in node.input]
    try:
        targets = find_targets(rewrite, node.output[0])
    except RefusalError:
        if any(source.quantization != sources[0].quantization for source in sources):
            raise
        output = rewrite.fresh(f"{node.output[0]}_quantized")
        _emit_concat(rewrite, node, sources, Source(output, sources[0].quantization), output)
        rewrite.set_source(node.output[0], Source(output, sources[0].quantization))
        return
    for target in targets:
        _check_dtypes([source.quantization for source in sources], target)
        _emit_concat(rewrite, node, sources, Source(target.name, target.quantization), clamped(rewrite, target))


def _emit_concat(rewrite: Rewrite, node: onnx.NodeProto, sources: list[Source], made: Source, output: str) -> None:
    inputs = list(rewrite.parameters(made.name, made.quantization))
    inputs += [name for source in sources for name in rewrite.operand(source)]
    axis = attribute(node, "axis")
    rewrite.emit("QLinearConcat", quant_name(node), inputs, output, domain=MICROSOFT, axis=axis)


def lower_requantization(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """QuantizeLinear, DequantizeLinear, QuantizeLinear to QuantizeLinear, QLinearConcat of that one operand.

    Left in float, ONNX Runtime's DoubleQDQPairsRemover would merge the two pairs into one whose scale and zero point
    it computes anew, which moves results. Between different dtypes it does not.
    """
    producers = rewrite.model.producers
    dequantizer = producers.get(node.input[0])
    while dequantizer is not None and dequantizer.op_type in NOTHING:
        dequantizer = producers.get(dequantizer.input[0])
    if dequantizer is None or dequantizer.op_type != "DequantizeLinear":
        return
    quantizer = producers.get(dequantizer.input[0])
    if quantizer is None or quantizer.op_type != "QuantizeLinear":
        return
    x, quantization = rewrite.source(dequantizer.output[0]), of_quantizer(rewrite.model, node)
    if x.quantization.dtype == quantization.dtype:
        inputs = [*rewrite.parameters(node.output[0], quantization), *rewrite.operand(x)]
        rewrite.emit("QLinearConcat", quant_name(node), inputs, node.output[0], domain=MICROSOFT, axis=1)


def _check_dtypes(operands: list[Quantization], target: Target) -> None:
    dtypes = {str(operand.dtype) for operand in operands} | {str(target.quantization.dtype)}
    if len(dtypes) > 1:
        raise RefusalError(
            f"its operands and its result differ in dtype ({', '.join(sorted(dtypes))})",
            "quantize all to the same dtype, as ONNX Runtime's kernels need",
        )
