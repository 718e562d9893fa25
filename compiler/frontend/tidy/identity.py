"""Identity nodes left out: what read their results reads their operands."""

import onnx

from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.tidy.edit import copied, rename_reads


def bypass_identities(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in which no node reads through an Identity; those that make an output of the model stay."""
    found = {node.output[0]: node.input[0] for node in model.graph.node if _is_identity(node)}
    if not found:
        return model
    names: dict[str, str] = {}
    for name, source in found.items():  # sorted, so that the source's own is known
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
