"""Refuses networks exported in training mode, with nodes that drop values at random or use the statistics of the batch."""

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.origin import origin_name, origin_operator

_REMEDY = "export the network for inference: model.eval() before torch.onnx.export"


def check_inference(model: onnx.ModelProto) -> None:
    """Raises UnsupportedError for nodes in training mode, and for a Dropout whose mask is used. Nodes must be sorted."""
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    entries = []
    for node in model.graph.node:
        if node.op_type == "Constant" and attribute(node, "value") is not None:
            values[node.output[0]] = onnx.numpy_helper.to_array(attribute(node, "value"))
        elif node.op_type == "BatchNormalization" and attribute(node, "training_mode", 0):
            entries.append(_entry(node, "it is in training mode: it scales values by the statistics of their batch"))
        elif node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] and values.get(node.input[2], True):
            entries.append(_entry(node, "it is in training mode: it drops values at random"))
        elif node.op_type == "Dropout" and len(node.output) > 1 and node.output[1] in used:
            entries.append(_entry(node, f"its mask '{node.output[1]}' is used, which exists only in training"))
    if entries:
        raise UnsupportedError(entries)


def _entry(node: onnx.NodeProto, reason: str) -> Unsupported:
    return Unsupported(origin_name(node), origin_operator(node), "", reason, _REMEDY)
