"""Decides which inputs of a model are activations, and which are parameters to be compiled in."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]

_TWO = (0, 1)
_QUANTIZED_TWO = (0, 3)
_ALL: Sequence[int] = range(1000)
#: Positions of the operands that are activations; all others are weights, scales, bounds and amounts.
_ACTIVATIONS: dict[str, Sequence[int]] = {
    "QLinearAdd": _QUANTIZED_TWO,
    "QLinearMul": _QUANTIZED_TWO,
    "QLinearConcat": range(2, 1000, 3),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Mod", "Pow", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift",
                     "NonMaxSuppression"), _TWO),
    **dict.fromkeys(("Concat", "Max", "Min", "Sum", "Mean"), _ALL),
}
_FIRST = (0,)


def parameters(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs that are not activations of any node: they must be frozen."""
    activations = {name for node in model.graph.node for name in _activations(node)}
    given = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in activations | given]


def freeze(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with the inputs named in ``values`` replaced by initializers."""
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    kept = [value for value in frozen.graph.input if value.name not in values]
    del frozen.graph.input[:]
    frozen.graph.input.extend(kept)
    frozen.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in values.items())
    return frozen


def _activations(node: onnx.NodeProto) -> list[str]:
    places = _ACTIVATIONS.get(node.op_type, _FIRST)
    return [name for place, name in enumerate(node.input) if place in places]
