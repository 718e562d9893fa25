"""Removes Identity nodes: readers of their results read their operands instead."""

import onnx

from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.tidy.edit import copied, rename_reads


def bypass_identities(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns the model without Identity nodes, except those that compute an output of the model."""
    found = {node.output[0]: node.input[0] for node in model.graph.node if _is_identity(node)}
    if not found:
        return model
    names: dict[str, str] = {}
    for name, source in found.items():  # sorted, so that the entry of the source exists if it is an Identity
        names[name] = names.get(source, source)
    tidied = copied(model)
    graph = tidied.graph
    outputs = {value.name for value in graph.output}
    kept = [node for node in graph.node if not _is_identity(node) or node.output[0] in outputs]
    for node in kept:
        rename_reads(node, names)
    del graph.node[:]
    graph.node.extend(kept)
    return tidied


def _is_identity(node: onnx.NodeProto) -> bool:
    return node.op_type == "Identity" and is_onnx(node) and len(node.input) == 1
