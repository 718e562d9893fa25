"""Names for nodes: the quantizer chooses nodes by name, and reports name them."""

import onnx


def name_nodes(model: onnx.ModelProto) -> None:
    """Give every node a name of its own, after its first output where it has none or shares it."""
    used: set[str] = set()
    for node in model.graph.node:
        if not node.name or node.name in used:
            node.name = _unused(f"{node.op_type}_{next(name for name in node.output if name)}", used)
        used.add(node.name)


def _unused(name: str, used: set[str]) -> str:
    count = 1
    candidate = name
    while candidate in used:
        count += 1
        candidate = f"{name}_{count}"
    return candidate
