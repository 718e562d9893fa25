"""Adds a leading batch of one to every value, for models without a batch such as most of ONNX's own tests."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import FUNCTIONS, NOTHING

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]

#: Operators that work only on trailing dimensions, or on each element.
_UNCHANGED = (*FUNCTIONS, *NOTHING, "MatMul", "QLinearMatMul", "Mod", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot",
              "BitShift", "Sum", "Mean", "QuantizeLinear", "DequantizeLinear", "QLinearAdd", "QLinearMul")
_AXIS = {"Concat": None, "Split": 0, "Gather": 0, "Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "ArgMax": 0, "ArgMin": 0,
         "TopK": -1, "LpNormalization": -1, "LayerNormalization": -1, "Flatten": 1}  # with the default axis


class NoBatchError(ValueError):
    """An operator does not allow a leading batch."""


def with_leading_batch(model: onnx.ModelProto, shapes: Shapes) -> onnx.ModelProto:
    """The model whose inputs, of ``shapes``, and outputs have an additional leading dimension of 1.

    Inputs with fewer dimensions than others are padded to the same number, so that they broadcast as before. Raises
    ``NoBatchError``.
    """
    lifted = onnx.ModelProto()
    lifted.CopyFrom(model)
    lifting = _Lifting(lifted, shapes)
    rank = max(map(len, shapes.values()))
    for value in lifted.graph.input:
        shape = shapes[value.name]
        extents = [1] * (1 + rank - len(shape)) + list(shape)
        kind = onnx.helper.make_tensor_value_info(value.name, value.type.tensor_type.elem_type, extents)
        value.CopyFrom(kind)
        lifting.ranks[value.name] = rank
    for node in list(lifted.graph.node):
        lifting.lift(node)
    outputs = [onnx.ValueInfoProto(name=value.name) for value in lifted.graph.output]
    del lifted.graph.output[:], lifted.graph.value_info[:]
    lifted.graph.output.extend(outputs)
    return lifted


class _Lifting:
    """The change of one model.

    Attributes
    ----------
    ranks
        Original ranks of the values that depend on inputs.
    """

    def __init__(self, model: onnx.ModelProto, shapes: Shapes) -> None:
        self._shapes = shapes
        self.ranks: dict[str, int] = {}
        self._graph = model.graph
        self._constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def lift(self, node: onnx.NodeProto) -> None:
        """Count the axes of a node from the new first one."""
        given = [name for name in node.input if name in self.ranks]
        if not given:
            return
        rank = max(self.ranks[name] for name in given)
        if node.op_type == "MatMul" and rank < 2:
            raise NoBatchError(node.op_type)
        if node.op_type in _AXIS:
            self._axis(node, rank)
        elif node.op_type.startswith("Reduce"):
            self._axes(node, rank, place=1)
        elif node.op_type in _RULES:
            _RULES[node.op_type](self, node, rank)
        elif node.op_type not in _UNCHANGED:
            raise NoBatchError(node.op_type)
        for name in node.output:
            self.ranks[name] = rank

    def constant(self, node: onnx.NodeProto, place: int) -> Array | None:
        """A constant operand; None if it is omitted."""
        if len(node.input) <= place or not node.input[place]:
            return None
        if node.input[place] not in self._constants:
            raise NoBatchError(node.op_type)
        return self._constants[node.input[place]]

    def replace(self, node: onnx.NodeProto, place: int, value: Array) -> None:
        """Sets a new constant for an operand, which may have been omitted."""
        while len(node.input) <= place:
            node.input.append("")
        name = f"{node.output[0]}_lifted_{place}"
        self._graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        node.input[place] = name

    def _axis(self, node: onnx.NodeProto, rank: int) -> None:
        axis = attribute(node, "axis", _AXIS[node.op_type])
        if node.op_type == "Concat" and any(name in self._constants for name in node.input):
            raise NoBatchError(node.op_type)
        if node.op_type == "Flatten":
            self._flatten(node, int(axis) % (rank + 1) if axis >= 0 else int(axis) % rank)
            return
        _set(node, "axis", _shifted(int(axis)))

    def _flatten(self, node: onnx.NodeProto, axis: int) -> None:
        """[1, a, b] by a Reshape, whose shape needs the extents of an input of the model."""
        if node.input[0] not in self._shapes:
            raise NoBatchError(node.op_type)
        extents = self._shapes[node.input[0]]
        node.op_type = "Reshape"
        del node.attribute[:]
        both = (np.prod(part, dtype=int) for part in (extents[:axis], extents[axis:]))
        self.replace(node, 1, np.array([1, *both], np.int64))

    def _axes(self, node: onnx.NodeProto, rank: int, place: int) -> None:
        given = self.constant(node, place)
        if given is not None:
            self.replace(node, place, np.array([_shifted(int(axis)) for axis in given.ravel()], np.int64))
        elif (axes := attribute(node, "axes", None)) is not None:
            _set(node, "axes", [_shifted(int(axis)) for axis in axes])
        elif attribute(node, "noop_with_empty_axes", 0):
            return
        else:
            self.replace(node, place, np.arange(1, rank + 1))

    def transpose(self, node: onnx.NodeProto, rank: int) -> None:
        order = attribute(node, "perm", range(rank)[::-1])
        _set(node, "perm", [0, *(int(axis) + 1 for axis in order)])

    def slice(self, node: onnx.NodeProto, _: int) -> None:
        starts = self.constant(node, 1)
        if starts is None:
            raise NoBatchError(node.op_type)
        axes = self.constant(node, 3)
        axes = np.arange(starts.size) if axes is None else axes
        self.replace(node, 3, np.array([_shifted(int(axis)) for axis in axes], np.int64))

    def squeeze(self, node: onnx.NodeProto, rank: int) -> None:
        if self.constant(node, 1) is None:
            raise NoBatchError(node.op_type)
        self._axes(node, rank, place=1)

    def pad(self, node: onnx.NodeProto, rank: int) -> None:
        amounts = self.constant(node, 1)
        if amounts is None:
            raise NoBatchError(node.op_type)
        if self.constant(node, 3) is not None:
            self._axes(node, rank, place=3)
            return
        begin, end = amounts.reshape(2, -1)
        self.replace(node, 1, np.array([0, *begin, 0, *end], np.int64))

    def extents(self, node: onnx.NodeProto, _: int) -> None:
        extents = self.constant(node, 1)
        if extents is None:
            raise NoBatchError(node.op_type)
        self.replace(node, 1, np.array([1, *extents], np.int64))


def _shifted(axis: int) -> int:
    """An axis shifted by the new first one; a negative axis is counted from the end."""
    return axis + 1 if axis >= 0 else axis


def _set(node: onnx.NodeProto, name: str, value: Any) -> None:
    kept = [given for given in node.attribute if given.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


_RULES: dict[str, Callable[[_Lifting, onnx.NodeProto, int], None]] = {
    "Transpose": _Lifting.transpose,
    "Slice": _Lifting.slice,
    "Squeeze": _Lifting.squeeze,
    "Unsqueeze": _Lifting.squeeze,
    "Pad": _Lifting.pad,
    **dict.fromkeys(("Reshape", "Tile", "Expand"), _Lifting.extents),
}
