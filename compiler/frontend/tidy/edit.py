"""Small edits of ONNX models that several passes use."""

from collections.abc import Mapping

import onnx


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy of the model, which may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def copied_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """Returns a copy of the node, which may be changed."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def rename_reads(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Renames values that a node and its subgraphs read, in place."""
    for place, name in enumerate(node.input):
        if name in names:
            node.input[place] = names[name]
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs] if attribute.HasField("g") or attribute.graphs else []:
            _rename_in_graph(graph, names)


def _rename_in_graph(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Renames values that a subgraph takes from outside, also as its outputs; names defined inside hide those outside."""
    inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    inside.update(name for node in graph.node for name in node.output)
    outer = {name: new for name, new in names.items() if name not in inside}
    for node in graph.node:
        rename_reads(node, outer)
    for value in graph.output:
        value.name = outer.get(value.name, value.name)


def used_names(graph: onnx.GraphProto) -> set[str]:
    """Returns the names of all values in the graph."""
    names = {value.name for value in [*graph.input, *graph.output]} | {tensor.name for tensor in graph.initializer}
    return names.union(*(set(node.input) | set(node.output) for node in graph.node))


def unused(name: str, used: set[str]) -> str:
    """Returns `name`, with a number appended if it is already used, and adds the result to `used`."""
    candidate, count = name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}_{count}"
    used.add(candidate)
    return candidate
