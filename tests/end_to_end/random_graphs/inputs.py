"""Inputs for random graphs: recorded in the model, or drawn from a seed.

The generator also draws its sample here: with its own seed, a graph gets the values that its scales were chosen for.
"""

import base64
from collections.abc import Sequence
from zlib import crc32

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .draw import Array, Draw

RECORD = "input:"  # prefix of metadata keys that hold inputs


def random_inputs(model: onnx.ModelProto, seed: int) -> dict[str, Array]:
    """One image for each input by name, [1, ...].

    Bytes cover their range. Floats that a QuantizeLinear reads are at its steps, at the ties between them, in between, and
    beyond the ends. Inputs recorded by ``record`` take precedence, cropped to the shape of the input.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantizers = {node.input[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    recorded = {entry.key: entry.value for entry in model.metadata_props}
    inputs = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [dim.dim_value for dim in tensor.shape.dim[1:]]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if RECORD + value.name in recorded:
            image = _cut(_decode(recorded[RECORD + value.name]), shape)
        elif dtype == np.float32:
            scale, zero = (constants[name] for name in quantizers[value.name].input[1:3])
            image = draw_floats(seed, value.name, shape, scale, zero)
        else:
            image = draw_bytes(seed, value.name, shape, dtype)
        inputs[value.name] = image[np.newaxis]
    return inputs


def draw_bytes(seed: int, name: str, shape: Sequence[int], dtype: np.dtype) -> Array:
    """Data for an integer input [*shape]."""
    return Draw([seed, crc32(name.encode())]).bytes(shape, dtype)


def draw_floats(seed: int, name: str, shape: Sequence[int], scale: Array, zero: Array) -> Array:
    """Data for a float32 input [*shape], to be quantized by ``scale`` and ``zero``."""
    draw = Draw([seed, crc32(name.encode())])
    steps = draw.bytes(shape, zero.dtype).astype(np.float32) - np.float32(zero)
    kind = draw.rng.integers(0, 4, shape)
    nudge = np.select([kind == 0, kind == 1], [0.5, draw.rng.uniform(-0.5, 0.5, shape)], 0.0).astype(np.float32)
    beyond = np.where(draw.rng.random(shape) < 0.01, np.float32(4), np.float32(1))
    return ((steps + nudge) * beyond * scale).astype(np.float32)


def record(model: onnx.ModelProto, inputs: dict[str, Array]) -> None:
    """Records images [1, ...] in the model; ``random_inputs`` then returns them for every seed."""
    for name, values in inputs.items():
        tensor = numpy_helper.from_array(np.ascontiguousarray(values[0]))
        model.metadata_props.add(key=RECORD + name, value=base64.b64encode(tensor.SerializeToString()).decode())


def _decode(text: str) -> Array:
    return numpy_helper.to_array(onnx.TensorProto.FromString(base64.b64decode(text)))


def _cut(image: Array, shape: Sequence[int]) -> Array:
    return np.ascontiguousarray(image[tuple(slice(0, extent) for extent in shape)])
