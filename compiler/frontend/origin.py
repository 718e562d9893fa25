"""Which node of the user's model a node made by a pass stands for: reports name that one."""

from collections.abc import Sequence

import onnx

from arrayloom.compiler.frontend.opsets import is_onnx

_NAME = "arrayloom.origin"
_OPERATOR = "arrayloom.origin.operator"


def node_name(node: onnx.NodeProto) -> str:
    """The node's name, or its first output where it has none."""
    return node.name or next((name for name in node.output if name), "")


def operator_name(node: onnx.NodeProto) -> str:
    """The operator, with its domain where it is not ONNX's own."""
    return node.op_type if is_onnx(node) else f"{node.domain}.{node.op_type}"


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


def described(node: onnx.NodeProto) -> str:
    """The user's node that `node` stands for, as sentences name it: operator and name."""
    return f"{origin_operator(node)} '{origin_name(node)}'"


def trace_origins(given: Sequence[onnx.NodeProto], made: onnx.GraphProto, before: bool = False) -> None:
    """Let every node of `made`, which a tool wrote that knows no origins, stand for one of `given`.

    That is the one that gives the same value or has the same name. What the tool added stands for the node nearest after
    it that is known, as preparation for that one, or nearest before it; with `before` the other way round.
    """
    producers = {name: node for node in given for name in node.output if name}
    named = {node.name: node for node in given if node.name}
    found: list[onnx.NodeProto | None] = []
    for node in made.node:
        same = [producers[name] for name in node.output if name in producers]
        found.append(same[0] if same else named.get(node.name))
    for forward in (before, not before):
        _spread(made.node, found, forward)
    for node, like in zip(made.node, found, strict=True):
        if like is not None:
            set_origin(node, like)


def _spread(nodes: Sequence[onnx.NodeProto], found: list[onnx.NodeProto | None], forward: bool) -> None:
    """Give nodes without an origin that of the node before them (`forward`) or after them; in place."""
    known: dict[str, onnx.NodeProto] = {}
    order = range(len(nodes)) if forward else range(len(nodes))[::-1]
    for index in order:
        node = nodes[index]
        near, far = (node.input, node.output) if forward else (node.output, node.input)
        like = found[index] or next((known[name] for name in near if name in known), None)
        found[index] = like
        if like is not None:
            for name in far:
                known.setdefault(name, like)


def clear_origins(model: onnx.ModelProto) -> None:
    """Forget what the nodes of a model stand for: from here on it is a model of the user's own."""
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key not in (_NAME, _OPERATOR)]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


def _entry(node: onnx.NodeProto, key: str) -> str:
    return next((entry.value for entry in node.metadata_props if entry.key == key), "")
