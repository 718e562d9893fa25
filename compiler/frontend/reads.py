"""The values that a node reads."""

from collections.abc import Iterator

import onnx


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yields the values that a node reads, including those that its subgraphs take from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs] if attribute.HasField("g") or attribute.graphs else []:
            inside = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            inside.update(name for inner in graph.node for name in inner.output)
            yield from (name for inner in graph.node for name in reads(inner) if name not in inside)
            yield from (value.name for value in graph.output if value.name not in inside)
