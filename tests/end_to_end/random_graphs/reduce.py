"""Edits that keep a model's nodes but reduce its tensors or set attributes to defaults."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper

from .draw import Array
from .edit import Facts, rebuild

PLAIN = {"pads": 0, "strides": 1, "dilations": 1}
DROPPED = ("auto_pad", "ceil_mode", "count_include_pad", "alpha")
WEIGHT, WEIGHT_SCALE, WEIGHT_ZERO, BIAS = 3, 4, 5, 8  # operand positions of QLinearConv


def shrink_inputs(facts: Facts) -> Iterator[onnx.ModelProto]:
    """An input with one extent halved or reduced by one; running the model shows whether its nodes accept it."""
    graph = facts.model.graph
    for value in graph.input:
        extents = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for axis in range(1, len(extents)):
            for smaller in dict.fromkeys((1, extents[axis] // 2, extents[axis] - 1)):
                if 1 <= smaller < extents[axis]:
                    yield _with_extent(facts, value.name, axis, smaller)


def _with_extent(facts: Facts, name: str, axis: int, extent: int) -> onnx.ModelProto:
    """The model with another extent of one input; weights over its channels keep the first ones."""
    graph, inputs, constants = facts.model.graph, [], {}
    for value in graph.input:
        copy = onnx.ValueInfoProto()
        copy.CopyFrom(value)
        if value.name == name:
            copy.type.tensor_type.shape.dim[axis].dim_value = extent
        inputs.append(copy)
    read = _quantized_names(facts, name)
    for node in graph.node:
        if axis == 1 and node.op_type == "QLinearConv" and node.input[0] in read:
            constants[node.input[WEIGHT]] = np.ascontiguousarray(facts.constants[node.input[WEIGHT]][:, :extent])
    return rebuild(facts.model, graph.node, inputs, _open_outputs(facts), constants)


def _quantized_names(facts: Facts, name: str) -> set[str]:
    quantizers = (node for node in facts.model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == name)
    return {name, *(node.output[0] for node in quantizers)}


def _open_outputs(facts: Facts) -> list[onnx.ValueInfoProto]:
    """Removes the extents of the outputs, which can be inferred."""
    outputs = []
    for value in facts.model.graph.output:
        tensor = value.type.tensor_type
        shape = [dim.dim_param or dim.dim_value if axis == 0 else f"{value.name}_{axis}"
                 for axis, dim in enumerate(tensor.shape.dim)]
        outputs.append(helper.make_tensor_value_info(value.name, tensor.elem_type, shape))
    return outputs


def shrink_outputs(facts: Facts) -> Iterator[onnx.ModelProto]:
    """A convolution with half its channels, or one less, if only element-wise nodes read its result."""
    graph = facts.model.graph
    for node in graph.node:
        channels = len(facts.constants[node.input[WEIGHT]]) if node.op_type == "QLinearConv" else 1
        for fewer in dict.fromkeys((1, channels // 2, channels - 1)):
            if 1 <= fewer < channels:
                yield rebuild(facts.model, graph.node, graph.input, _open_outputs(facts), _first(facts, node, fewer))


def _first(facts: Facts, node: onnx.NodeProto, channels: int) -> dict[str, Array]:
    """The constants of a convolution for its first output channels only, and of the readers of its result."""
    operands = [node.input[index] for index in (WEIGHT, WEIGHT_SCALE, WEIGHT_ZERO, BIAS) if index < len(node.input)]
    constants = {name: facts.constants[name][:channels] if facts.constants[name].ndim else facts.constants[name]
                 for name in operands}
    for reader in facts.model.graph.node:
        if reader.op_type == "QLinearConv" and reader.input[0] == node.output[0]:
            weight = reader.input[WEIGHT]
            constants[weight] = np.ascontiguousarray(constants.get(weight, facts.constants[weight])[:, :channels])
    return constants


def plain_attributes(facts: Facts) -> Iterator[onnx.ModelProto]:
    """One attribute of one node set to its default."""
    graph = facts.model.graph
    for index, node in enumerate(graph.node):
        for attribute in node.attribute:
            plain = _plain(node, attribute)
            if plain is not None:
                nodes = [plain if position == index else other for position, other in enumerate(graph.node)]
                yield rebuild(facts.model, nodes, graph.input, _open_outputs(facts))


def _plain(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> onnx.NodeProto | None:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    mine = next(given for given in copy.attribute if given.name == attribute.name)
    if attribute.name in DROPPED:
        copy.attribute.remove(mine)
        return copy
    if attribute.name not in PLAIN or all(value == PLAIN[attribute.name] for value in attribute.ints):
        return None
    mine.ints[:] = [PLAIN[attribute.name]] * len(attribute.ints)
    return copy


def drop_bias(facts: Facts) -> Iterator[onnx.ModelProto]:
    """A convolution without its bias."""
    graph = facts.model.graph
    for index, node in enumerate(graph.node):
        if node.op_type == "QLinearConv" and len(node.input) > BIAS:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            del copy.input[BIAS:]
            nodes = [copy if position == index else other for position, other in enumerate(graph.node)]
            yield rebuild(facts.model, nodes, graph.input, graph.output)
