"""Random quantized networks over every supported operator, drawn from a seed.

A third of all scales equal that of the operand, a third are powers of two: that is where rounding meets ties. Zero
points are odd, at the border or in the middle. Networks are small (at most 12 channels, 14 x 14), so that hundreds run
in seconds.
"""

from collections.abc import Callable

import numpy as np
import onnx
from random_draws import MAX_CHANNELS, MAX_EXTENT, Array, Generator, Value
from random_islands import island
from random_operators import (
    add,
    average_pool,
    clip,
    concat,
    conv,
    flatten,
    global_average_pool,
    matrix,
    max_pool,
    move,
    table,
)

RULES: list[tuple[Callable[[Generator], Value | None], float]] = [
    (conv, 5),
    (matrix, 1),
    (add, 3),
    (max_pool, 2),
    (average_pool, 2),
    (global_average_pool, 0.5),
    (concat, 2),
    (clip, 1),
    (table, 1),
    (move, 2),
    (island, 3),
    (flatten, 0.3),
]


def _start(g: Generator) -> tuple[np.dtype, list[int | str]]:
    """The input, float with a QuantizeLinear or bytes: its dtype and shape."""
    rank = int(g.rng.choice([3, 3, 3, 3, 2, 1]))
    shape = (g.pick(1, MAX_CHANNELS), *(g.pick(3, MAX_EXTENT) for _ in range(rank - 1)))
    dtype = np.dtype(g.rng.choice(["uint8", "int8"]))
    x = Value("input", shape, np.float32(2.0 ** g.rng.uniform(-7, -3)), g.zero_point(dtype), dtype)
    batch = str(g.rng.choice(["N", "1"]))
    dims = [int(batch) if batch == "1" else batch, *shape]
    if g.chance(0.5):
        g.add(x)
        return dtype, dims
    quantized = g.add(Value("input_quantized", shape, x.scale, x.zero_point, dtype))
    g.node("QuantizeLinear", ["input", *g.parameters(x)], quantized.name)
    return np.dtype(np.float32), dims


def _finish(g: Generator, value: Value) -> str:
    """The output: the bytes, their real values, or the softmax of those."""
    kind = g.pick(0, 2)
    if kind == 0:
        return value.name
    real = g.name("output")
    g.node("DequantizeLinear", g.operand(value), real)
    if kind == 1 or len(value.shape) > 1:
        return real
    probabilities = g.name("softmax")
    g.node("Softmax", [real], probabilities, axis=-1)
    return probabilities


def generate(seed: int) -> onnx.ModelProto:
    """The network of a seed, in QOperator form, of up to ten operators."""
    g = Generator(seed)
    given = _start(g)
    wanted = g.pick(1, 10)
    weights = np.array([weight for _, weight in RULES])
    while len(g.pool) <= wanted:
        rule = RULES[int(g.rng.choice(len(RULES), p=weights / weights.sum()))][0]
        rule(g)
    read = {name for node in g.nodes for name in node.input}
    ends = [value for value in g.pool if value.name not in read and value.name != "input"]
    outputs = [_finish(g, value) for value in ends[-3:]]
    return g.model({"input": given}, list(dict.fromkeys(outputs)))


def draw_inputs(model: onnx.ModelProto, seed: int) -> dict[str, Array]:
    """One image for the model: random bytes, or real values around the quantized range with its ends included."""
    rng = np.random.default_rng(seed)
    value = model.graph.input[0]
    shape = [1, *(dim.dim_value for dim in value.type.tensor_type.shape.dim[1:])]
    if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
        return {value.name: (rng.standard_normal(shape) * 3).astype(np.float32)}
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    info = np.iinfo(dtype)
    return {value.name: rng.integers(info.min, info.max + 1, shape).astype(dtype)}
