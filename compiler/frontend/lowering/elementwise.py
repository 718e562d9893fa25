"""Lowers Concat of several quantized values, and requantization, to com.microsoft.QLinearConcat."""

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import NOTHING
from arrayloom.compiler.frontend.lowering.moved_operands import quantize_first
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target, check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.isa.host_steps import quantize


def lower_concat(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers several DequantizeLinear, Concat, [Relu, Clip], QuantizeLinear to QLinearConcat, [Clip].

    If all operands have the same scale and zero point, so does the result, and no QuantizeLinear is needed.
    """
    given = {name: rewrite.source(name) for name in node.input if not rewrite.model.is_constant(name)}
    try:
        targets = find_targets(rewrite, node.output[0])
    except RefusalError:
        common = _common(given, node)
        if common is None:
            raise
        made = Source(rewrite.fresh(f"{node.output[0]}_quantized"), common)
        _emit_concat(rewrite, node, [given[name] for name in node.input], made, made.name)
        rewrite.set_source(node.output[0], made)
        return
    for target in targets:
        sources = [given.get(name) or _computed(rewrite, name) or _constant(rewrite, name, target) for name in node.input]
        check_dtypes([source.quantization for source in sources], target)
        _emit_concat(rewrite, node, sources, Source(target.name, target.quantization), clamped(rewrite, target))


def _common(given: dict[str, Source], node: onnx.NodeProto) -> Quantization | None:
    """Returns the quantization that all operands share; None if they differ or one is a constant."""
    quantizations = {given[name].quantization if name in given else None for name in node.input}
    return quantizations.pop() if len(quantizations) == 1 else None


def _emit_concat(rewrite: Rewrite, node: onnx.NodeProto, sources: list[Source], made: Source, output: str) -> None:
    inputs = list(rewrite.parameters(made.name, made.quantization))
    inputs += [name for source in sources for name in rewrite.operand(source)]
    axis = attribute(node, "axis")
    rewrite.emit("QLinearConcat", quant_name(node), inputs, output, domain=MICROSOFT, axis=axis)


def _computed(rewrite: Rewrite, value: str) -> Source | None:
    """Returns the integers of a dequantized constant that nodes compute (its extents may depend on the batch), or None."""
    node = rewrite.model.producers.get(value)
    if node is None or node.op_type != "DequantizeLinear" or node.input[0] not in rewrite.model.producers:
        return None
    return rewrite.source(value)


def _constant(rewrite: Rewrite, value: str, target: Target) -> Source:
    """Returns a float constant, quantized like the target."""
    made = target.quantization
    constant = quantize(rewrite.model.constants[value], float(made.scale), made.zero_point, made.dtype)
    return Source(rewrite.constant(f"{value}_quantized", constant), made)


def lower_requantization(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers QuantizeLinear, DequantizeLinear, QuantizeLinear to QuantizeLinear, QLinearConcat of one operand.

    In float, ONNX Runtime's DoubleQDQPairsRemover would merge the two pairs into one with a new scale and zero point, which
    changes results. It does not merge pairs of different dtypes.
    """
    quantize_first(rewrite, node)
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
