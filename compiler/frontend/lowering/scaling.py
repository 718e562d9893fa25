"""Products with a positive constant, which are merged into the scale of the next quantization."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import is_onnx


def factor_of(model: Model, node: onnx.NodeProto) -> np.float32 | None:
    """Returns the factor by which a Mul or Div with one positive constant multiplies its operand; None for other nodes."""
    if node.op_type not in ("Mul", "Div") or not is_onnx(node):
        return None
    places = [place for place, name in enumerate(node.input) if model.is_constant(name)]
    if len(places) != 1 or (node.op_type == "Div" and places != [1]):
        return None
    constant = model.constants[node.input[places[0]]]
    if constant.size != 1 or model.shapes[node.output[0]] != model.shapes[node.input[1 - places[0]]]:
        return None
    value = np.float32(constant.reshape(()))
    factor = value if node.op_type == "Mul" else np.float32(1) / value
    return factor if np.isfinite(factor) and factor > 0 and np.isfinite(value) else None
