"""Random graphs from seeds."""

from collections.abc import Callable

import numpy as np
import onnx

from . import elementwise, matrix, movement, pooling, products, shuffles
from .blocks import branches, dense_connection, residual_block
from .draw import Draw, byte_range
from .inputs import draw_bytes, draw_floats
from .islands import island
from .sketch import MICROSOFT, Sketch, Value

Step = Callable[[Sketch, Value], Value | None]

STEPS: dict[Step, float] = {
    matrix.convolution: 12,
    matrix.gemm: 12,
    matrix.matmul: 8,
    pooling.maximum: 5,
    pooling.average: 6,
    pooling.global_average: 2,
    elementwise.add: 4,
    elementwise.concat: 4,
    elementwise.relu: 3,
    elementwise.clip: 2,
    elementwise.bound: 0.5,
    elementwise.table: 1,
    movement.reshape: 1,
    movement.flatten: 1.5,
    movement.cut: 2,
    movement.pad: 2,
    movement.split: 1,
    movement.gather: 0.7,
    movement.identity: 0.3,
    movement.flip: 0.4,
    movement.swap: 0.5,
    movement.enlarge: 0.8,
    movement.insert: 0.5,
    shuffles.deepen: 0.5,
    shuffles.flatten_blocks: 1,
    shuffles.fold: 0.7,
    shuffles.repeat_border: 0.7,
    products.product: 2.5,
    products.spread: 2.5,
    products.with_constant: 1,
    island: 8,
    residual_block: 5,
    branches: 3,
    dense_connection: 2,
}


def generate(seed: int) -> onnx.ModelProto:
    """The graph for this seed: an int8 QOperator model with one or two inputs and one to three outputs.

    The same seed gives the same bytes with the same versions of numpy and onnx.
    """
    draw = Draw(seed)
    large = draw.chance(0.1)
    sketch = Sketch(draw, budget=2_000_000 if large else 150_000, room=100_000 if large else 5_000)
    x = _add_input(sketch, seed, _input_shape(draw, large))
    if draw.chance(0.07):
        _add_input(sketch, seed, x.shape, x.dtype)
    for _ in range(draw.pick(range(1, 9), [2, 3, 3, 3, 3, 2, 1, 1])):
        x = _step(sketch, x)
    if draw.chance(0.25):
        x = _classify(sketch, x)
    _add_outputs(sketch, x)
    return sketch.model(seed)


def _input_shape(draw: Draw, large: bool) -> tuple[int, ...]:
    kind = draw.pick(["image", "sequence", "vector"], [86, 7, 7])
    if kind == "vector":
        return (draw.channels(80),)
    if kind == "sequence":
        return draw.channels(20), draw.extent(40)
    side = draw.extent(48 if large else 20)
    return draw.channels(96 if large else 24), side, side if draw.chance(0.4) else draw.extent(48 if large else 20)


def _add_input(sketch: Sketch, seed: int, shape: tuple[int, ...], dtype: np.dtype | None = None) -> Value:
    """An integer input, or a float one and its QuantizeLinear."""
    draw = sketch.draw
    dtype = dtype or draw.dtype()
    scale = draw.pick([np.float32(draw.log_uniform(1e-3, 1)), np.float32(2.0 ** draw.integer(-8, 0))])
    zero = draw.zero_point(dtype)
    if draw.chance(0.5):
        given = sketch.add_input(dtype, shape)
        return sketch.value(given, draw_bytes(seed, given, shape, dtype), scale, zero)
    given = sketch.add_input(np.dtype(np.float32), shape)
    name = sketch.node("QuantizeLinear", [given, *sketch.quantization(scale, zero, dtype)])
    floats = draw_floats(seed, given, shape, scale, np.array(zero, dtype))
    return sketch.quantized(name, floats, dtype, scale, zero)


def _step(sketch: Sketch, latest: Value) -> Value:
    """Adds a node or block on the latest value or an earlier one; its result becomes the latest."""
    draw = sketch.draw
    steps, weights = list(STEPS), list(STEPS.values())
    while True:
        x = latest if draw.chance(0.8) else draw.pick(sketch.values)
        result = draw.pick(steps, weights)(sketch, x)
        if result is not None:
            return result


def _classify(sketch: Sketch, x: Value) -> Value:
    """The end of a classifier: sometimes an average, then flattened, then one or two products."""
    x = (pooling.global_average(sketch, x) if sketch.draw.chance(0.4) else x) or x
    x = movement.flatten(sketch, x) or x
    for _ in range(sketch.draw.integer(1, 2)):
        x = sketch.draw.pick([matrix.gemm, matrix.matmul])(sketch, x) or x
    return x


def _add_outputs(sketch: Sketch, latest: Value) -> None:
    """Outputs the latest value; sometimes also a value that nothing reads yet, and one that is read."""
    draw = sketch.draw
    computed = [value for value in sketch.values[1:] if value is not latest and not value.name.startswith("input")]
    read = sketch.read()
    chosen = [latest]
    for group, probability in (([value for value in computed if value.name not in read], 0.4),
                               ([value for value in computed if value.name in read], 0.08)):
        if group and draw.chance(probability):
            chosen.append(draw.pick(group))
    for value in chosen:
        _add_output(sketch, value)


def _add_output(sketch: Sketch, value: Value) -> None:
    """Outputs the bytes, or dequantizes them, sometimes with a Reshape or Softmax after that."""
    draw = sketch.draw
    quantized = any(node.op_type.startswith("Q") for node in sketch.nodes)
    tail = draw.pick(["bytes", "float", "softmax", "quantized softmax", "reshape"], [8 if quantized else 0, 6, 2, 1, 1])
    if tail == "bytes":
        sketch.add_output(value.name, value.dtype, value.shape)
        return
    if tail == "quantized softmax":
        made = sketch.quantization(np.float32(1 / 256), byte_range(value.dtype)[0], value.dtype)
        name = sketch.node("QLinearSoftmax", [*sketch.operand(value), *made], MICROSOFT, axis=-1, opset=13)
        sketch.add_output(name, value.dtype, value.shape)
        return
    name, shape = sketch.node("DequantizeLinear", sketch.operand(value)), value.shape
    if tail == "softmax":
        name = sketch.node("Softmax", [name], axis=draw.pick([1, -1, None]))
    if tail == "reshape":
        shape = (value.sample.size,)
        name = sketch.node("Flatten", [name])
    sketch.add_output(name, np.dtype(np.float32), shape)
