"""Sum of several tensors, which has no quantized form, as Adds of two."""

import onnx


def split_sums(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every Sum replaced."""
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.extend(_adds(node) if node.op_type == "Sum" else [node])
    kept = onnx.ModelProto()
    kept.CopyFrom(model)
    del kept.graph.node[:]
    kept.graph.node.extend(nodes)
    return kept


def _adds(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    if len(node.input) == 1:
        return [onnx.helper.make_node("Identity", list(node.input), list(node.output), name=node.name)]
    adds = []
    total = node.input[0]
    for index, term in enumerate(node.input[1:], start=1):
        last = index == len(node.input) - 1
        result = node.output[0] if last else f"{node.output[0]}_partial_{index}"
        name = node.name if last or not node.name else f"{node.name}_{index}"
        adds.append(onnx.helper.make_node("Add", [total, term], [result], name=name))
        total = result
    return adds
