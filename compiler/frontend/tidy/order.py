"""Sorts nodes topologically; ONNX Runtime accepts them in any order."""

import onnx

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend.origin import node_name
from arrayloom.compiler.frontend.reads import reads


def sort_model(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Returns the model with every node after those whose results it reads.

    Raises
    ------
    ModelError
        No node or several nodes produce a value, or nodes depend on their own results.
    """
    graph = model.graph
    given = {"", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    given.update(tensor.values.name for tensor in graph.sparse_initializer)
    producers = _producers(graph, label)
    ordered = True
    known = set(given)
    for node in graph.node:
        for name in reads(node):
            if name not in given and name not in producers:
                raise ModelError(
                    f"node '{node_name(node) or node.op_type}' of {label} reads '{name}', which no node, input or "
                    "initializer produces; the graph is damaged: export the model again"
                )
            ordered = ordered and name in known
        known.update(node.output)
    if ordered:
        return model
    nodes = _sorted(graph, producers, label)
    arranged = onnx.ModelProto()
    arranged.CopyFrom(model)
    del arranged.graph.node[:]
    arranged.graph.node.extend(nodes)
    return arranged


def _producers(graph: onnx.GraphProto, label: str) -> dict[str, onnx.NodeProto]:
    producers: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        for name in node.output:
            if name in producers:
                first, second = node_name(producers[name]), node_name(node)
                raise ModelError(
                    f"nodes '{first}' and '{second}' of {label} both produce '{name}'; the graph is damaged: "
                    "export the model again"
                )
            if name:
                producers[name] = node
    return producers


def _sorted(graph: onnx.GraphProto, producers: dict[str, onnx.NodeProto], label: str) -> list[onnx.NodeProto]:
    """Sorts the nodes depth first, so that the order changes as little as possible."""
    ordered: list[onnx.NodeProto] = []
    placed: set[int] = set()
    open_nodes: set[int] = set()
    stack = [(node, False) for node in reversed(graph.node)]
    while stack:
        node, operands_placed = stack.pop()
        if id(node) in placed:
            continue
        if operands_placed:
            open_nodes.discard(id(node))
            placed.add(id(node))
            ordered.append(node)
            continue
        if id(node) in open_nodes:
            raise ModelError(
                f"node '{node_name(node)}' of {label} depends on its own result; the graph is damaged: "
                "export the model again"
            )
        open_nodes.add(id(node))
        stack.append((node, True))
        stack.extend((producers[name], False) for name in dict.fromkeys(reads(node)) if name in producers)
    return ordered
