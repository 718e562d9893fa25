"""Remedies for operators that cannot be compiled, as specific as possible for each kind."""

import onnx

from arrayloom.compiler.frontend.origin import operator_name, origin_operator
from arrayloom.compiler.frontend.report import RefusalError, Report
from arrayloom.compiler.frontend.schemes import QUANTIZE

_GENERAL = "replace it by supported operators"

_REMEDIES = {
    "quantize its operand and its result, and compile for a configuration with the ATTENTION unit, such as 16x16-vit": (
        "LayerNormalization",
    ),
    "use BatchNormalization, whose statistics are fixed, and train or calibrate again": (
        "InstanceNormalization",
        "GroupNormalization",
        "RMSNormalization",
        "MeanVarianceNormalization",
        "LpNormalization",
        "LRN",
    ),
    "move it to the end of the network, where the host computes it": ("Softmax", "LogSoftmax", "QLinearSoftmax"),
    "cut the network before it and leave it to the host": (
        "ArgMax",
        "ArgMin",
        "TopK",
        "NonMaxSuppression",
        "NonZero",
        "RoiAlign",
        "MaxRoiPool",
    ),
    f"quantize the float network statically: {QUANTIZE}": (
        "DynamicQuantizeLinear",
        "ConvInteger",
        "MatMulInteger",
        "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat",
        "DynamicQuantizeLSTM",
    ),
    "use a convolutional network; attention and recurrence are products of activations": (
        "Attention",
        "QAttention",
        "MultiHeadAttention",
        "Einsum",
        "LSTM",
        "GRU",
        "RNN",
    ),
    "use MaxPool or AveragePool": ("LpPool", "GlobalLpPool", "MaxUnpool"),
    "use ReduceMean, ReduceSum, ReduceMax or ReduceMin over channels, height and width": (
        "ReduceProd",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSumExp",
        "CumSum",
    ),
    "use strided or transposed convolutions, or Resize with mode = nearest": (
        "GridSample",
        "AffineGrid",
        "Col2Im",
        "DeformConv",
    ),
    "unroll it when exporting; control flow cannot depend on values": ("If", "Loop", "Scan"),
}
_BY_OPERATOR = {operator: remedy for remedy, operators in _REMEDIES.items() for operator in operators}


_AT_THE_END = "leave it out: cut the network before it, and compute it from the outputs"
_FOR_THE_HOST = (
    "move it to the end of the network, where the host computes it",
    "cut the network before it and leave it to the host",
)


def not_supported(node: onnx.NodeProto, at_the_end: bool = False) -> RefusalError:
    """Returns the refusal of an operator that no rule knows, with a remedy.

    Parameters
    ----------
    node
        The node.
    at_the_end
        Whether no layer follows it, so that it need not be moved there.
    """
    own = origin_operator(node) == operator_name(node)
    reason = "this operator is not supported" if own else f"{operator_name(node)}, which it is made of, is not supported"
    remedy = _BY_OPERATOR.get(node.op_type, _GENERAL)
    return RefusalError(reason, _AT_THE_END if at_the_end and remedy in _FOR_THE_HOST else remedy)


def quantize_between(report: Report) -> str:
    """Returns the remedy for a float value between two layers."""
    advice = "put QuantizeLinear and DequantizeLinear between the two"
    return advice if report.may_round else f"{advice}, or have it rounded to 8 bits there with --insert-rounding"
