"""Sorts nodes topologically."""

from collections.abc import Iterable, Sequence

import onnx


def sort_nodes(nodes: Iterable[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """Returns the nodes on which the outputs depend, producers first."""
    producers = {name: node for node in nodes for name in node.output if name}
    ordered: list[onnx.NodeProto] = []
    placed: set[int] = set()
    stack = [(producers[name], False) for name in reversed(outputs) if name in producers]
    while stack:
        node, inputs_placed = stack.pop()
        if id(node) in placed:
            continue
        if inputs_placed:
            placed.add(id(node))
            ordered.append(node)
            continue
        stack.append((node, True))
        stack.extend((producers[name], False) for name in node.input if name in producers)
    return ordered
