"""Random damage to a model, as a faulty exporter, editor or disk could cause it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from onnx import TensorProto, helper, numpy_helper

Mutation = Callable[[onnx.ModelProto, Generator], None]

HUGE = (2**31 - 1, 2**31, 2**40, 2**62, -(2**63), 2**63 - 1)
FLOATS = (0.0, -1.0, float("nan"), float("inf"), -float("inf"), 1e-45, 3e38, 1e-38, -0.0)
TYPES = (TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT16,
         TensorProto.DOUBLE, TensorProto.BOOL, TensorProto.UINT16, TensorProto.INT16)
OPERATORS = ("Relu", "Conv", "QLinearConv", "MaxPool", "Concat", "Softmax", "DequantizeLinear", "QuantizeLinear", "Identity",
             "Warp", "Loop", "ConstantOfShape", "NonZero", "Shape", "")


def mutate(model: onnx.ModelProto, rng: Generator, count: int = 1) -> tuple[onnx.ModelProto, str]:
    """A copy of the model after `count` mutations, and their names."""
    damaged = onnx.ModelProto()
    damaged.CopyFrom(model)
    names = []
    for _ in range(count):
        mutation = MUTATIONS[rng.integers(len(MUTATIONS))]
        mutation(damaged, rng)
        names.append(mutation.__name__.lstrip("_"))
    return damaged, " + ".join(names)


def damage_bytes(serialized: bytes, rng: Generator) -> bytes:
    """The file truncated, with some bytes changed, or with a piece removed."""
    kind, place = rng.integers(3), int(rng.integers(len(serialized)))
    if kind == 0:
        return serialized[:place]
    if kind == 1:
        return serialized[:place] + serialized[place + int(rng.integers(1, 40)) :]
    damaged = bytearray(serialized)
    for position in rng.integers(len(serialized), size=int(rng.integers(1, 8))):
        damaged[position] = int(rng.integers(256))
    return bytes(damaged)


def _one(items: Any, rng: Generator) -> Any:
    return items[int(rng.integers(len(items)))]


def _node(model: onnx.ModelProto, rng: Generator) -> onnx.NodeProto:
    return _one(model.graph.node, rng) if model.graph.node else model.graph.node.add()


def _values(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    names = [name for node in graph.node for name in node.output]
    return [*names, *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer), "", "nowhere"]


def _drop_node(model: onnx.ModelProto, rng: Generator) -> None:
    if model.graph.node:
        model.graph.node.remove(_node(model, rng))


def _duplicate_node(model: onnx.ModelProto, rng: Generator) -> None:
    model.graph.node.add().CopyFrom(_node(model, rng))


def _swap_nodes(model: onnx.ModelProto, rng: Generator) -> None:
    nodes = list(model.graph.node)
    rng.shuffle(nodes)  # type: ignore[arg-type]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _change_operator(model: onnx.ModelProto, rng: Generator) -> None:
    node = _node(model, rng)
    node.op_type = _one([*OPERATORS, *(other.op_type for other in model.graph.node)], rng)
    node.domain = _one(["", "", "com.microsoft", "own", node.domain], rng)


def _change_input(model: onnx.ModelProto, rng: Generator) -> None:
    node = _node(model, rng)
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = _one(_values(model), rng)


def _drop_input(model: onnx.ModelProto, rng: Generator) -> None:
    node = _node(model, rng)
    if node.input:
        del node.input[int(rng.integers(len(node.input)))]


def _add_input(model: onnx.ModelProto, rng: Generator) -> None:
    _node(model, rng).input.append(_one(_values(model), rng))


def _swap_inputs(model: onnx.ModelProto, rng: Generator) -> None:
    node = _node(model, rng)
    node.input[:] = list(node.input)[::-1]


def _change_output(model: onnx.ModelProto, rng: Generator) -> None:
    node = _node(model, rng)
    kind = rng.integers(3)
    if kind == 0 or not node.output:
        node.output.append(_one(_values(model), rng))
    elif kind == 1:
        node.output[0] = _one(_values(model), rng)
    else:
        del node.output[:]


def _change_attribute(model: onnx.ModelProto, rng: Generator) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return
    given = _one(_one(nodes, rng).attribute, rng)
    name, kind = given.name, rng.integers(6)
    if kind == 0 and given.type == onnx.AttributeProto.INTS and given.ints:
        given.ints[int(rng.integers(len(given.ints)))] = int(_one([0, -1, -7, 3, 1000, *HUGE], rng))
    elif kind == 1 and given.type == onnx.AttributeProto.INTS:
        given.ints.append(1)
    elif kind == 2:
        given.CopyFrom(helper.make_attribute(name, int(_one([0, -1, -7, 5, *HUGE], rng))))
    elif kind == 3:
        given.CopyFrom(helper.make_attribute(name, float(_one(FLOATS, rng))))
    elif kind == 4:
        given.CopyFrom(helper.make_attribute(name, "text"))
    else:
        given.CopyFrom(helper.make_attribute(name, [int(v) for v in rng.integers(-3, 9, int(rng.integers(1, 6)))]))


def _drop_attribute(model: onnx.ModelProto, rng: Generator) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if nodes:
        node = _one(nodes, rng)
        del node.attribute[int(rng.integers(len(node.attribute)))]


def _add_attribute(model: onnx.ModelProto, rng: Generator) -> None:
    names = [given.name for node in model.graph.node for given in node.attribute]
    name = _one([*names, "axis", "pads", "auto_pad", "ceil_mode", "group", "dilations", "transA", "alpha", "perm"], rng)
    value = _one([0, 1, -1, 2**40, 0.5, "SAME_LOWER", "VALID", [1, 1], [0, 0, 0, 0], [2, 2]], rng)
    _node(model, rng).attribute.append(helper.make_attribute(name, value))


def _tensor(model: onnx.ModelProto, rng: Generator) -> TensorProto:
    return _one(model.graph.initializer, rng) if model.graph.initializer else model.graph.initializer.add()


def _replace(tensor: TensorProto, value: Any) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), tensor.name))


def _array(tensor: TensorProto) -> Any:
    try:
        return numpy_helper.to_array(tensor)
    except Exception:  # already damaged by an earlier mutation
        return np.zeros(1, np.float32)


def _change_type(model: onnx.ModelProto, rng: Generator) -> None:
    tensor = _tensor(model, rng)
    with np.errstate(all="ignore"):
        _replace(tensor, _array(tensor).astype(helper.tensor_dtype_to_np_dtype(_one(TYPES, rng))))


def _lie_about_type(model: onnx.ModelProto, rng: Generator) -> None:
    _tensor(model, rng).data_type = int(_one([*TYPES, 0, 99, TensorProto.STRING], rng))


def _change_values(model: onnx.ModelProto, rng: Generator) -> None:
    tensor = _tensor(model, rng)
    value = np.array(_array(tensor))
    if value.size and value.dtype.kind == "f":
        value.flat[int(rng.integers(value.size))] = _one(FLOATS, rng)
    elif value.size and value.dtype.kind in "iu":
        info = np.iinfo(value.dtype)
        chosen = int(_one([0, 1, -1, 7, info.min, info.max, *HUGE], rng))
        value.flat[int(rng.integers(value.size))] = min(max(chosen, int(info.min)), int(info.max))
    _replace(tensor, value)


def _change_all_values(model: onnx.ModelProto, rng: Generator) -> None:
    tensor = _tensor(model, rng)
    value = _array(tensor)
    if value.dtype.kind == "f":
        _replace(tensor, np.full(value.shape, _one(FLOATS, rng), value.dtype))
    else:
        _replace(tensor, np.zeros_like(value))


def _change_shape(model: onnx.ModelProto, rng: Generator) -> None:
    tensor = _tensor(model, rng)
    value = _array(tensor)
    options = [value.reshape(-1), value[np.newaxis], np.resize(value, 1), np.resize(value, 3), value.reshape(-1)[:0],
               np.resize(value, (2, 2)), value.T, np.resize(value, ())]
    _replace(tensor, options[int(rng.integers(len(options)))])


def _lie_about_shape(model: onnx.ModelProto, rng: Generator) -> None:
    tensor = _tensor(model, rng)
    if tensor.dims and rng.integers(2):
        tensor.dims[int(rng.integers(len(tensor.dims)))] = int(_one([0, -1, 2, *HUGE], rng))
    else:
        tensor.dims.append(int(_one([0, 1, 2, -5, 2**40], rng)))


def _drop_initializer(model: onnx.ModelProto, rng: Generator) -> None:
    if model.graph.initializer:
        model.graph.initializer.remove(_tensor(model, rng))


def _rename_initializer(model: onnx.ModelProto, rng: Generator) -> None:
    _tensor(model, rng).name = _one(_values(model), rng)


def _change_border(model: onnx.ModelProto, rng: Generator) -> None:
    """Inputs and outputs: dropped, duplicated, renamed, of other types and shapes."""
    values = _one([model.graph.input, model.graph.output], rng)
    if not values:
        return
    value, kind = _one(values, rng), rng.integers(7)
    if kind == 0:
        values.remove(value)
    elif kind == 1:
        values.add().CopyFrom(value)
    elif kind == 2:
        value.name = _one(_values(model), rng)
    elif kind == 3:
        value.type.tensor_type.elem_type = int(_one([*TYPES, 0, 99, TensorProto.STRING], rng))
    elif kind == 4:
        value.ClearField("type")
    elif kind == 5 and value.type.tensor_type.shape.dim:
        _one(value.type.tensor_type.shape.dim, rng).dim_value = int(_one([0, -1, 1, 5, 4096, *HUGE], rng))
    else:
        value.type.tensor_type.shape.dim.add().dim_value = int(_one([1, 2, 2**40], rng))


def _change_opset(model: onnx.ModelProto, rng: Generator) -> None:
    kind = rng.integers(4)
    if kind == 0:
        del model.opset_import[:]
    elif kind == 1 or not model.opset_import:
        domain = _one(["", "ai.onnx", "own", "com.microsoft"], rng)
        model.opset_import.append(helper.make_opsetid(domain, int(rng.integers(1, 99))))
    else:
        _one(model.opset_import, rng).version = int(_one([*range(1, 30), 0, -1, 99, 2**40], rng))


def _change_version(model: onnx.ModelProto, rng: Generator) -> None:
    model.ir_version = int(_one([0, *range(1, 15), 99, 2**40, -1], rng))


def _change_names(model: onnx.ModelProto, rng: Generator) -> None:
    names = [node.name for node in model.graph.node]
    for node in model.graph.node:
        if rng.integers(2):
            node.name = _one(["", "same", "\n", "x" * 5000, "ä/%s{}", *names], rng)


def _make_cycle(model: onnx.ModelProto, rng: Generator) -> None:
    first, last = _node(model, rng), _node(model, rng)
    if first.input and last.output:
        first.input[0] = last.output[0]


def _add_expansion(model: onnx.ModelProto, rng: Generator) -> None:
    """A value of 2**40 elements between existing values and an output."""
    if not model.graph.output:
        return
    output = _one(model.graph.output, rng).name
    extents = np.array(_one([[2**40], [2**20, 2**20], [2**62, 4], [1, 2**31, 2**31]], rng), np.int64)
    name = f"extents_{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(extents, name))
    kind = _one(["ConstantOfShape", "Expand", "Tile"], rng)
    inputs = [name] if kind == "ConstantOfShape" else [output, name]
    made = helper.make_node(kind, inputs, [f"{output}_{name}"], name=f"large_{name}")
    model.graph.node.append(made)
    model.graph.output.append(onnx.ValueInfoProto(name=made.output[0]))


def _add_random(model: onnx.ModelProto, rng: Generator) -> None:
    _node(model, rng).CopyFrom(helper.make_node(
        "RandomUniformLike", [_one(_values(model), rng)], [_one(_values(model), rng)], name="random"))


MUTATIONS: tuple[Mutation, ...] = (
    _drop_node, _duplicate_node, _swap_nodes, _change_operator, _change_input, _drop_input, _add_input, _swap_inputs,
    _change_output, _change_attribute, _change_attribute, _drop_attribute, _add_attribute, _change_type, _lie_about_type,
    _change_values, _change_values, _change_all_values, _change_shape, _lie_about_shape, _drop_initializer,
    _rename_initializer, _change_border, _change_border, _change_opset, _change_version, _change_names, _make_cycle,
    _add_expansion, _add_random,
)
