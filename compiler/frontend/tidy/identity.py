"""Identity nodes left out: what read their results reads their operands."""

import onnx

from arrayloom.compiler.frontend.tidy.edit import copied, rename_reads

_OWN = ("", "ai.onnx")


def bypass_identities(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in which no node reads through an Identity; those that make an output of the model stay."""
    found = {node.output[0]: node.input[0] for node in model.graph.node if _is_identity(node)}
    if not found:
        return model
    names = {name: _origin(name, found) for name in found}
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
    return node.op_type == "Identity" and node.domain in _OWN and len(node.input) == 1


def _origin(name: str, found: dict[str, str]) -> str:
    while name in found:
        name = found[name]
    return name
