"""Inputs for random graphs."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .draw import Array, Draw


def random_inputs(model: onnx.ModelProto, seed: int) -> dict[str, Array]:
    """One image for each input by name, [1, ...].

    Bytes cover their range. Floats that a QuantizeLinear reads lie on its steps, on the ties between them, between the
    two and beyond the ends.
    """
    draw = Draw(seed)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantizers = {node.input[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    inputs = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [1, *(dim.dim_value for dim in tensor.shape.dim[1:])]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype == np.float32:
            scale, zero = (constants[name] for name in quantizers[value.name].input[1:3])
            inputs[value.name] = _floats(draw, shape, scale, zero)
        else:
            inputs[value.name] = draw.bytes(shape, dtype)
    return inputs


def _floats(draw: Draw, shape: list[int], scale: Array, zero: Array) -> Array:
    steps = draw.bytes(shape, zero.dtype).astype(np.float32) - np.float32(zero)
    kind = draw.rng.integers(0, 4, shape)
    nudge = np.select([kind == 0, kind == 1], [0.5, draw.rng.uniform(-0.5, 0.5, shape)], 0.0).astype(np.float32)
    beyond = np.where(draw.rng.random(shape) < 0.01, np.float32(4), np.float32(1))
    return ((steps + nudge) * beyond * scale).astype(np.float32)
