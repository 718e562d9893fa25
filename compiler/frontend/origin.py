"""The origin of a node: the node of the user's model that it was made from, which messages and reports name."""

from collections.abc import Sequence

import onnx

from arrayloom.compiler.frontend.opsets import is_onnx

_NAME = "arrayloom.origin"
_OPERATOR = "arrayloom.origin.operator"


def node_name(node: onnx.NodeProto) -> str:
    """Returns the node's name, or its first output if it has no name."""
    return node.name or next((name for name in node.output if name), "")


def operator_name(node: onnx.NodeProto) -> str:
    """Returns the operator, with its domain unless that is ONNX's own."""
    return node.op_type if is_onnx(node) else f"{node.domain}.{node.op_type}"


def origin_name(node: onnx.NodeProto) -> str:
    """Returns the name of the node's origin; a node of the user's model is its own origin."""
    return _entry(node, _NAME) or node_name(node)


def origin_operator(node: onnx.NodeProto) -> str:
    """Returns the operator of the node's origin."""
    return _entry(node, _OPERATOR) or operator_name(node)


def set_origin(node: onnx.NodeProto, like: onnx.NodeProto) -> None:
    """Gives `node` the origin of `like`."""
    entries = {_NAME: origin_name(like), _OPERATOR: origin_operator(like)}
    kept = [entry for entry in node.metadata_props if entry.key not in entries]
    del node.metadata_props[:]
    node.metadata_props.extend(kept)
    node.metadata_props.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items())


def described(node: onnx.NodeProto) -> str:
    """Returns the operator and the name of the node's origin, for use in messages."""
    return f"{origin_operator(node)} '{origin_name(node)}'"


def trace_origins(given: Sequence[onnx.NodeProto], made: onnx.GraphProto, before: bool = False) -> None:
    """Gives the nodes of `made`, which a tool wrote without origins, those of the nodes in `given`.

    A node gets the origin of the node with the same output or name. A node that the tool added gets that of the nearest node
    after it with an origin, as it prepares that node's input, or else of the nearest before it; with `before`, the nearest
    node before it takes precedence.
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
    """Gives each node without an origin that of a node before it (`forward`) or after it; modifies `found`."""
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
    """Removes all origins from a model, so that it counts as a model of the user's own."""
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if entry.key not in (_NAME, _OPERATOR)]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


def _entry(node: onnx.NodeProto, key: str) -> str:
    return next((entry.value for entry in node.metadata_props if entry.key == key), "")
