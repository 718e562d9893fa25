"""Concat of several quantized values, and requantization, to com.microsoft.QLinearConcat."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import NOTHING
from arrayloom.compiler.frontend.lowering.binary import check_dtypes
from arrayloom.compiler.frontend.lowering.rewrite import MICROSOFT, Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, clamped, find_targets
from arrayloom.compiler.frontend.quantization import of_quantizer
from arrayloom.isa.host_steps import quantize


def lower_concat(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Several DequantizeLinear, Concat, [Relu, Clip], QuantizeLinear to QLinearConcat, [Clip]."""
    given = {name: rewrite.source(name) for name in node.input if not rewrite.model.is_constant(name)}
    axis = attribute(node, "axis")
    for target in find_targets(rewrite, node.output[0]):
        sources = [given.get(name) or _constant(rewrite, name, target) for name in node.input]
        check_dtypes([source.quantization for source in sources], target)
        inputs = list(rewrite.parameters(target.name, target.quantization))
        inputs += [name for source in sources for name in rewrite.operand(source)]
        output = clamped(rewrite, target)
        rewrite.emit("QLinearConcat", quant_name(node), inputs, output, domain=MICROSOFT, axis=axis)


def _constant(rewrite: Rewrite, value: str, target: Target) -> Source:
    """A constant of float values, quantized as the target is."""
    made = target.quantization
    constant = quantize(rewrite.model.constants[value], float(made.scale), made.zero_point, made.dtype)
    return Source(rewrite.constant(f"{value}_quantized", constant), made)


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
