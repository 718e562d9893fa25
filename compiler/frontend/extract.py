"""Extracts parts of a model as models: the accelerator's part, and the host's head and tail."""

from collections.abc import Iterable, Sequence

import onnx

from arrayloom.compiler.frontend.batch import BATCH
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.partition import Partition
from arrayloom.compiler.frontend.sorting import sort_nodes
from arrayloom.isa.host_parts import HostPart


def middle_model(parts: Partition) -> onnx.ModelProto:
    """Returns the accelerator's part as a model, or the model itself if that is all of it."""
    if parts.is_whole:
        return parts.model.proto
    batch = BATCH if parts.model.open_batch else 1
    return _extract(parts.model, parts.middle, batch)


def host_part(parts: Partition, places: frozenset[int]) -> HostPart | None:
    """Returns the head or tail as a model for one image, or None if it is empty."""
    if not places:
        return None
    model = _extract(parts.model, parts.nodes(places), 1)
    return HostPart(model.SerializeToString(), parts.listed(places))


def _extract(model: Model, nodes: Sequence[onnx.NodeProto], batch: str | int) -> onnx.ModelProto:
    """Returns a model of the nodes and their constants; its outputs are those that other nodes or the user read."""
    made = {name for node in nodes for name in node.output if name}
    read = {name for node in nodes for name in node.input if name}
    outputs = _left(model, nodes, made)
    known = made | {name for name in read if not model.is_constant(name)}
    kept = _constant_nodes(model, read, known)
    extracted = onnx.ModelProto()
    extracted.CopyFrom(model.proto)
    graph = extracted.graph
    for field in ("node", "input", "output", "value_info", "initializer"):
        graph.ClearField(field)
    graph.node.extend(sort_nodes([*kept, *nodes], outputs))
    used = {name for node in graph.node for name in node.input if name}
    produced = {name for node in graph.node for name in node.output if name}
    given = [name for name in _in_order(model) if name in used - produced and not model.is_constant(name)]
    graph.input.extend(_value_info(model, name, batch) for name in given)
    graph.output.extend(_value_info(model, name, batch) for name in outputs)
    originals = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    for name in sorted(used - produced):
        if name in originals:
            graph.initializer.append(originals[name])
        elif model.is_constant(name):
            graph.initializer.append(onnx.numpy_helper.from_array(model.constants[name], name))
    return extracted


def _left(model: Model, nodes: Sequence[onnx.NodeProto], made: set[str]) -> list[str]:
    """Returns the values of the nodes that other nodes read or that are outputs, in the order of the model."""
    inside = {id(node) for node in nodes}
    wanted = {name for node in model.nodes if id(node) not in inside and not _is_constant(model, node)
              for name in node.input}
    return [name for name in _in_order(model) if name in made and (name in wanted or name in model.outputs)]


def _in_order(model: Model) -> Iterable[str]:
    """Yields every value that depends on the inputs' elements, beginning with the outputs."""
    yield from dict.fromkeys([*model.outputs, *(value.name for value in model.inputs),
                              *(name for node in model.nodes for name in node.output if name)])


def _constant_nodes(model: Model, read: Iterable[str], known: set[str]) -> list[onnx.NodeProto]:
    """Returns the nodes that compute the constants in `read` from initializers and the shapes of `known` values.

    A constant that depends on the shape of any other value becomes an initializer instead.
    """
    inside = {name for name in model.constants if name not in model.producers}
    makers = [node for node in model.nodes if _is_constant(model, node)]
    for node in makers:
        if all(name in inside or name in known for name in node.input if name):
            inside.update(name for name in node.output if name)
    wanted = {name for name in read if name in inside}
    kept = []
    for node in reversed(makers):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(name for name in node.input if name)
    return kept


def _is_constant(model: Model, node: onnx.NodeProto) -> bool:
    return all(model.is_constant(name) for name in node.output if name)


def _value_info(model: Model, name: str, batch: str | int) -> onnx.ValueInfoProto:
    shape = model.shapes[name]
    declared: list[str | int] = [batch, *shape[1:]] if shape else []
    kind = onnx.helper.np_dtype_to_tensor_dtype(model.dtypes[name])
    return onnx.helper.make_tensor_value_info(name, kind, declared)
