"""Small edits of ONNX models that the passes share."""

from collections.abc import Mapping

import onnx


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def copied_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """A copy of a node that may be changed."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def rename_reads(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Let a node, and the subgraphs in it, read other values."""
    for place, name in enumerate(node.input):
        if name in names:
            node.input[place] = names[name]
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs] if attribute.HasField("g") or attribute.graphs else []:
            _rename_in_graph(graph, names)


def _rename_in_graph(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """A name that the subgraph gives itself hides the one outside. Its outputs may be values from outside, too."""
    inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    inside.update(name for node in graph.node for name in node.output)
    outer = {name: new for name, new in names.items() if name not in inside}
    for node in graph.node:
        rename_reads(node, outer)
    for value in graph.output:
        value.name = outer.get(value.name, value.name)


def used_names(graph: onnx.GraphProto) -> set[str]:
    """Every name of a value in the graph."""
    names = {value.name for value in [*graph.input, *graph.output]} | {tensor.name for tensor in graph.initializer}
    return names.union(*(set(node.input) | set(node.output) for node in graph.node))


def unused(name: str, used: set[str]) -> str:
    """`name`, with a number appended where it is used already; it is used from now on."""
    candidate, count = name, 1
    while candidate in used:
        count += 1
        candidate = f"{name}_{count}"
    used.add(candidate)
    return candidate
