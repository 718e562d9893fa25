"""The quantization of a model's outputs that are bytes."""

import onnx

from arrayloom.compiler.frontend.kinds import NOTHING, RESHAPES
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import BYTES, per_tensor
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.isa.host_steps import Quantize

#: The input of an operator that is the scale of its result; the next input is the zero point.
_RESULT_SCALE = {
    "QuantizeLinear": 1,
    "QLinearSoftmax": 3,
    "QLinearSigmoid": 3,
    "QLinearLeakyRelu": 3,
    "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QGemm": 7,
}


def find_result_encoding(model: Model, name: str) -> Quantize | None:
    """Returns the quantization of an output of bytes, which the node that computes it, possibly before movement, contains.

    Returns None if the output is not of bytes or that node has no quantization.
    """
    if model.dtypes[name] not in BYTES:
        return None
    node = model.producers.get(name)
    while node is not None and node.op_type in (*RESHAPES, *NOTHING, "Transpose"):
        node = model.producers.get(node.input[0])
    return None if node is None else _of_result(model, node)


def _of_result(model: Model, node: onnx.NodeProto) -> Quantize | None:
    place = _RESULT_SCALE.get(node.op_type)
    if place is None or len(node.input) <= place:
        return None
    zero_point = node.input[place + 1] if len(node.input) > place + 1 else ""
    try:
        found = per_tensor(model, node.input[place], zero_point, model.dtypes[node.output[0]])
    except RefusalError:
        return None
    return Quantize(float(found.scale), found.zero_point, str(found.dtype))
