"""Edits that reduce ONNX models; each yields new models."""

from collections.abc import Iterator, Sequence

import onnx
from onnx import helper, numpy_helper

from arrayloom.compiler.frontend.runtime import Session, with_outputs

from .draw import Array
from .inputs import random_inputs, record
from .sketch import GRAPH_NAME

BYTES = ("uint8", "int8")


class Facts:
    """Facts about a model for the edits: constants, and every value for the input of the model's own seed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        names = [name for node in model.graph.node for name in node.output if name]
        inputs = random_inputs(model, seed_of(model))
        self.values: dict[str, Array] = inputs | Session(with_outputs(model, names), optimize=False).run(inputs)

    def is_bytes(self, name: str) -> bool:
        return name in self.values and self.values[name].dtype.name in BYTES

    def declaration(self, name: str) -> onnx.ValueInfoProto:
        """The value as an input or output of a model, with the batch of the first input."""
        value = self.values[name]
        batch = self.model.graph.input[0].type.tensor_type.shape.dim[0]
        shape = [batch.dim_param or batch.dim_value, *value.shape[1:]]
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)


def seed_of(model: onnx.ModelProto) -> int:
    """The seed in the name of a generated model."""
    return int(model.graph.name.removeprefix(GRAPH_NAME))


def rebuild(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto],
            outputs: Sequence[onnx.ValueInfoProto], constants: dict[str, Array] | None = None) -> onnx.ModelProto:
    """A model of the nodes that the outputs depend on, with the inputs and initializers that those read."""
    wanted, kept = {value.name for value in outputs}, []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    changed = constants or {}
    tensors = [numpy_helper.from_array(changed[tensor.name], tensor.name) if tensor.name in changed else tensor
               for tensor in model.graph.initializer if tensor.name in wanted]
    graph = helper.make_graph(kept[::-1], model.graph.name, [v for v in inputs if v.name in wanted], outputs, tensors)
    made = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    made.metadata_props.extend(model.metadata_props)
    return made


def cut_outputs(facts: Facts) -> Iterator[onnx.ModelProto]:
    """One integer value as the only output, early ones first; then with one output left out."""
    graph = facts.model.graph
    names = [name for node in graph.node for name in node.output if facts.is_bytes(name)]
    for name in names:
        if [value.name for value in graph.output] != [name]:
            yield rebuild(facts.model, graph.node, graph.input, [facts.declaration(name)])
    for index in range(len(graph.output) if len(graph.output) > 1 else 0):
        outputs = [value for position, value in enumerate(graph.output) if position != index]
        yield rebuild(facts.model, graph.node, graph.input, outputs)


def cut_inputs(facts: Facts) -> Iterator[onnx.ModelProto]:
    """One integer value, recorded, as an input that replaces the nodes that compute it; late ones first."""
    graph = facts.model.graph
    for node in reversed(graph.node):
        for name in [name for name in node.output if facts.is_bytes(name)]:
            if name in {value.name for value in graph.output}:
                continue
            nodes = [other for other in graph.node if other is not node or len(node.output) > 1]
            if len(node.output) > 1:
                nodes = [_without(other, name) if other is node else other for other in nodes]
            smaller = rebuild(facts.model, nodes, [*graph.input, facts.declaration(name)], graph.output)
            record(smaller, {name: facts.values[name]})
            yield smaller


def _without(node: onnx.NodeProto, name: str) -> onnx.NodeProto:
    """The node with one result renamed to a name that nothing reads."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[list(node.output).index(name)] = f"{name}_unused"
    return copy


def bypass(facts: Facts) -> Iterator[onnx.ModelProto]:
    """Without one node: its readers read one of its operands of the same dtype and rank instead."""
    graph = facts.model.graph
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        result = node.output[0]
        if len(node.output) > 1 or result in outputs:
            continue
        for name in dict.fromkeys(node.input):
            if name in facts.values and _interchangeable(facts.values[name], facts.values[result]):
                nodes = [_reading(other, result, name) for other in graph.node if other is not node]
                yield rebuild(facts.model, nodes, graph.input, graph.output)


def _interchangeable(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.ndim == b.ndim


def _reading(node: onnx.NodeProto, old: str, new: str) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:]
    copy.input.extend(new if name == old else name for name in node.input)
    return copy
