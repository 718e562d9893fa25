"""What no output depends on."""

import onnx


def prune(model: onnx.ModelProto) -> None:
    """Drop nodes that no output depends on, initializers that no node reads, and shapes written down."""
    wanted = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del model.graph.node[:]
    model.graph.node.extend(kept[::-1])
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    del model.graph.value_info[:]
