"""The operators that the front end knows, needed only to explain why ONNX Runtime cannot load a model."""

import numpy as np
import onnx

from arrayloom.compiler.errors import Unsupported
from arrayloom.compiler.frontend import lowering, operators
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING, WEIGHTED
from arrayloom.compiler.frontend.origin import operator_name, origin_name, origin_operator
from arrayloom.compiler.frontend.remedies import not_supported

#: Operators that may compute shapes and constants.
_CONSTANTS = ("Constant", "ConstantOfShape", "Shape", "Size", "Cast", "Concat", "Range", "Expand", "Where", "Equal")
#: Operators that a pass replaces with movements.
_OPENED = ("Split", "DepthToSpace", "SpaceToDepth")
_KNOWN = {
    *lowering.RULES,
    *operators.RULES,
    *FUNCTIONS,
    *MOVEMENTS,
    *NOTHING,
    *_OPENED,
    *_CONSTANTS,
    "QuantizeLinear",
    "DequantizeLinear",
    "Softmax",
    "LayerNormalization",
    "com.microsoft.QLinearSoftmax",
}
_QUANTIZED_LAYERS = ("QLinearConv", "QLinearMatMul", "com.microsoft.QGemm")


def is_known(node: onnx.NodeProto) -> bool:
    """Whether the front end knows the operator in some form: quantized, float, or only on constants."""
    return operator_name(node) in _KNOWN


def computes(node: onnx.NodeProto) -> bool:
    """Whether the operator can compute on activations in some form."""
    return is_known(node) and node.op_type not in set(_CONSTANTS) - {"Concat"}


def unknown_nodes(model: onnx.ModelProto) -> list[Unsupported]:
    """Returns the nodes with unknown operators, and those whose combination of dtypes ONNX Runtime does not support."""
    found = []
    dtypes = {tensor.name: onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type) for tensor in model.graph.initializer}
    layers_follow = _read_by_layers(model.graph)
    for node in model.graph.node:
        operator = operator_name(node)
        if not is_known(node):
            refusal = not_supported(node, at_the_end=not layers_follow.intersection(node.output))
            found.append(Unsupported(origin_name(node), origin_operator(node), "", refusal.reason, refusal.remedy))
        elif operator in _QUANTIZED_LAYERS and len(node.input) > 3 and _signed_by_unsigned(node, dtypes):
            reason = "ONNX Runtime has no int8 activations with uint8 weights"
            found.append(Unsupported(origin_name(node), origin_operator(node), "", reason, "quantize the weights to int8"))
    return found


def _read_by_layers(graph: onnx.GraphProto) -> set[str]:
    """Returns the values on which a layer with weights depends."""
    found: set[str] = set()
    for node in reversed(graph.node):
        weighted = node.op_type in WEIGHTED or operator_name(node) in _QUANTIZED_LAYERS
        if weighted or found.intersection(node.output):
            found.update(name for name in node.input if name)
    return found


def _signed_by_unsigned(node: onnx.NodeProto, dtypes: dict[str, np.dtype]) -> bool:
    return dtypes.get(node.input[2]) == np.int8 and dtypes.get(node.input[3]) == np.uint8
