"""Lowers QDQ models to QOperator form: float operators between DequantizeLinear and QuantizeLinear become integer ones.

The result is a valid ONNX model that ONNX Runtime can run; the compiled program is bit-exact to that model. Integer
operators stay as they are, and a model without anything to lower is returned unchanged. Element-wise functions between
DequantizeLinear and QuantizeLinear also stay: they are float islands, which become lookup tables in a later pass.
"""

from collections.abc import Callable

import onnx

from arrayloom.compiler.frontend.attention import NORM, is_marked, is_product
from arrayloom.compiler.frontend.lowering.attention import lower_product, lower_softmax
from arrayloom.compiler.frontend.lowering.binary import lower_add, lower_extreme, lower_mul, lower_sub
from arrayloom.compiler.frontend.lowering.elementwise import lower_concat, lower_requantization
from arrayloom.compiler.frontend.lowering.matrix import lower_conv, lower_gemm, lower_matmul
from arrayloom.compiler.frontend.lowering.mean import lower_reduce_mean
from arrayloom.compiler.frontend.lowering.mean_sums import MEANS, joins_means
from arrayloom.compiler.frontend.lowering.moved_operands import settle_operands, settle_outputs
from arrayloom.compiler.frontend.lowering.pooling import (
    lower_average_pool,
    lower_global_average_pool,
    lower_global_max_pool,
    lower_max_pool,
)
from arrayloom.compiler.frontend.lowering.reductions import lower_reduce_extreme
from arrayloom.compiler.frontend.lowering.resize import lower_resize
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite
from arrayloom.compiler.frontend.lowering.transposed import lower_conv_transpose
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.report import RefusalError, Report

Rule = Callable[[Rewrite, onnx.NodeProto], None]

RULES: dict[str, Rule] = {
    "Conv": lower_conv,
    "Gemm": lower_gemm,
    "MatMul": lower_matmul,
    "ConvTranspose": lower_conv_transpose,
    "Add": lower_add,
    "Mul": lower_mul,
    "Sub": lower_sub,
    "Max": lower_extreme,
    "Min": lower_extreme,
    "Concat": lower_concat,
    "MaxPool": lower_max_pool,
    "AveragePool": lower_average_pool,
    "GlobalAveragePool": lower_global_average_pool,
    "GlobalMaxPool": lower_global_max_pool,
    "ReduceMean": lower_reduce_mean,
    "Resize": lower_resize,
    "Upsample": lower_resize,
    "ReduceSum": lower_reduce_mean,
    "ReduceMax": lower_reduce_extreme,
    "ReduceMin": lower_reduce_extreme,
    "QuantizeLinear": lower_requantization,
}

#: Rules for accelerators with the ATTENTION unit; the one for MatMul applies to products of two activations.
ATTENTION: dict[str, Rule] = {"MatMul": lower_product, "Softmax": lower_softmax}


def lower(model: Model, report: Report) -> onnx.ModelProto:
    """Returns the integer model of `model`; nodes that cannot be lowered stay float and are listed in the report."""
    rewrite = Rewrite(model, report)
    for node in model.nodes:
        if is_marked(node, NORM):
            continue
        rule = _rule(model, node, report.attention)
        try:
            rewrite.current = node
            settle_operands(rewrite, node)
            if rule is not None:
                rule(rewrite, node)
        except RefusalError as refusal:
            report.refuse(node, refusal)
    settle_outputs(rewrite)
    return rewrite.finish()


def _rule(model: Model, node: onnx.NodeProto, attention: bool) -> Rule | None:
    """Returns the rule for a node that computes in float or requantizes, or None if there is nothing to lower."""
    if not is_onnx(node) or model.is_constant(node.output[0]):
        return None
    if model.dtypes[node.output[0]] in BYTES and node.op_type != "QuantizeLinear":
        return None
    if node.op_type in MEANS and joins_means(model, node):
        return None  # lowered together with the sum or difference that reads it
    if attention and node.op_type in ATTENTION and (node.op_type != "MatMul" or is_product(model, node)):
        return ATTENTION[node.op_type]
    return RULES.get(node.op_type)
