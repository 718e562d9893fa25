"""Which node of the user's model a node made by a pass stands for: reports name that one."""

import onnx

_NAME = "arrayloom.origin"
_OPERATOR = "arrayloom.origin.operator"


def node_name(node: onnx.NodeProto) -> str:
    """The node's name, or its first output where it has none."""
    return node.name or next((name for name in node.output if name), "")


def operator_name(node: onnx.NodeProto) -> str:
    """The operator, with its domain where it is not ONNX's own."""
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def origin_name(node: onnx.NodeProto) -> str:
    """The name of the user's node that `node` stands for: its own unless a pass made it."""
    return _entry(node, _NAME) or node_name(node)


def origin_operator(node: onnx.NodeProto) -> str:
    """The operator of the user's node that `node` stands for."""
    return _entry(node, _OPERATOR) or operator_name(node)


def set_origin(node: onnx.NodeProto, like: onnx.NodeProto) -> None:
    """Make `node` stand for the node that `like` stands for."""
    entries = {_NAME: origin_name(like), _OPERATOR: origin_operator(like)}
    kept = [entry for entry in node.metadata_props if entry.key not in entries]
    del node.metadata_props[:]
    node.metadata_props.extend(kept)
    node.metadata_props.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items())


def _entry(node: onnx.NodeProto, key: str) -> str:
    return next((entry.value for entry in node.metadata_props if entry.key == key), "")
