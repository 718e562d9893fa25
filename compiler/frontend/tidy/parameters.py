"""Copies weights and zero points that several nodes share, so that each node has its own.

When configured for exact kernels, ONNX Runtime converts int8 weights to uint8 node by node, and fails on a weight or a zero
point that it has already converted ("Attempt to replace the existing tensor").
"""

import onnx

from arrayloom.compiler.frontend.tidy.edit import copied, unused, used_names

#: Indices of the inputs with a weight and its zero point.
_PLACES = {"DequantizeLinear": (0, 2), "QLinearConv": (3, 5), "QLinearMatMul": (3, 5), "QGemm": (3, 5)}


def unshare_parameters(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the model in which no two nodes share an int8 weight, its zero point, or its DequantizeLinear."""
    tensors = {name: tensor for name, tensor in _constants(model.graph).items() if tensor.data_type == onnx.TensorProto.INT8}
    if not _shared(model.graph, tensors):
        return model
    tidied = copied(model)
    graph = tidied.graph
    used = used_names(graph)
    _repeat_dequantizers(graph, tensors, used)
    seen: set[str] = set()
    for node in graph.node:
        for place in _weight_places(node, tensors):
            name = node.input[place]
            if name in seen:
                node.input[place] = unused(f"{name}_copy", used)
                tensor = onnx.TensorProto()
                tensor.CopyFrom(tensors[name])
                tensor.name = node.input[place]
                graph.initializer.append(tensor)
            seen.add(name)
    return tidied


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _weight_places(node: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> list[int]:
    """Returns the indices of a node's inputs with a constant int8 weight and its zero point; empty if it has none."""
    places = _PLACES.get(node.op_type, ())
    if not places or len(node.input) <= places[0] or node.input[places[0]] not in tensors:
        return []
    return [place for place in places if len(node.input) > place and node.input[place] in tensors]


def _shared(graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto]) -> bool:
    names = [node.input[place] for node in graph.node for place in _weight_places(node, tensors)]
    return len(names) != len(set(names)) or any(len(readers) > 1 for _, readers in _dequantizers(graph, tensors))


def _dequantizers(
    graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto]
) -> list[tuple[onnx.NodeProto, list[onnx.NodeProto]]]:
    """Returns each DequantizeLinear of a constant int8 weight, with the nodes that read its result."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    return [
        (node, readers.get(node.output[0], []))
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.output and _weight_places(node, tensors)
    ]


def _repeat_dequantizers(graph: onnx.GraphProto, tensors: dict[str, onnx.TensorProto], used: set[str]) -> None:
    nodes = []
    for dequantizer, readers in _dequantizers(graph, tensors):
        for reader in readers[1:]:
            repeated = onnx.NodeProto()
            repeated.CopyFrom(dequantizer)
            repeated.output[0] = unused(f"{dequantizer.output[0]}_copy", used)
            repeated.name = repeated.output[0]
            nodes.append(repeated)
            for place, name in enumerate(reader.input):
                if name == dequantizer.output[0]:
                    reader.input[place] = repeated.output[0]
    if nodes:
        rest = list(graph.node)
        constants = [node for node in rest if node.op_type == "Constant"]
        others = [node for node in rest if node.op_type != "Constant"]
        del graph.node[:]
        graph.node.extend([*constants, *nodes, *others])
