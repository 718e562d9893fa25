"""Inputs of a model that a compiler needs to know: they become initializers with the values they are given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]

#: Positions of the operands that an accelerator computes on; all others are weights, scales, bounds and amounts.
ACTIVATIONS: dict[str, tuple[int, ...]] = {"QLinearAdd": (0, 3), "QLinearMul": (0, 3), "Add": (0, 1), "Mul": (0, 1)}
CONCATENATIONS = {"QLinearConcat": range(2, 1000, 3), "Concat": range(1000)}
FIRST: tuple[int, ...] = (0,)


def parameters(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs that no node computes on: they have to be frozen."""
    activations = {name for node in model.graph.node for name in _activations(node)}
    given = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in activations | given]


def freeze(model: onnx.ModelProto, values: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with those of its inputs as initializers."""
    frozen = onnx.ModelProto()
    frozen.CopyFrom(model)
    kept = [value for value in frozen.graph.input if value.name not in values]
    del frozen.graph.input[:]
    frozen.graph.input.extend(kept)
    frozen.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in values.items())
    return frozen


def _activations(node: onnx.NodeProto) -> list[str]:
    places = CONCATENATIONS.get(node.op_type) or ACTIVATIONS.get(node.op_type, FIRST)
    return [name for place, name in enumerate(node.input) if place in places]
