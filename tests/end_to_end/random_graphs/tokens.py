"""Random graphs of tokens [N, T, C]: attention, normalization, perceptrons and sums, as transformers have them."""

import math

import numpy as np
import onnx

from .draw import Array, Draw, byte_range
from .elementwise import can_add, residual
from .fit import fit
from .inputs import draw_bytes
from .sketch import MICROSOFT, Sketch, Value

OPSETS = (17, 19, 21)   # LayerNormalization requires 17
DEPTHS = (4, 8, 12)     # channels of a head: multiples of the smallest array's size
MOST_TOKENS = 24
ERF = np.vectorize(math.erf)


def generate_tokens(seed: int) -> onnx.ModelProto:
    """The graph for this seed: one to four blocks, at least one of attention, on bytes of tokens."""
    draw = Draw(seed)
    sketch = Sketch(draw, budget=1_000_000, room=20_000)
    sketch.opset, sketch.batch = draw.pick(OPSETS), 1
    heads, depth = draw.integer(1, 3), draw.pick(DEPTHS)
    shape, dtype = (draw.integer(2, MOST_TOKENS), heads * depth), draw.dtype()
    x = sketch.value(sketch.add_input(dtype, shape), draw_bytes(seed, "input_0", shape, dtype),
                     np.float32(draw.log_uniform(1e-2, 0.3)), draw.zero_point(dtype))
    if draw.chance(0.4):
        x = _with_learnt(sketch, x)
    if draw.chance(0.5):
        x = _with_positions(sketch, x)
    blocks = [attention, *(draw.pick([attention, perceptron, norm], [3, 2, 2]) for _ in range(draw.integer(0, 3)))]
    for block in draw.rng.permutation(np.array(blocks, object)):
        x = _block(sketch, x, block, heads)
    _add_output(sketch, x)
    return sketch.model(seed)


def _block(sketch: Sketch, x: Value, block: object, heads: int) -> Value:
    """A block, sometimes after a normalization, and sometimes added to what it was given."""
    given = norm(sketch, x) if block is not norm and sketch.draw.chance(0.5) else x
    if block is attention:
        made = attention(sketch, given, heads)
    else:
        made = perceptron(sketch, given) if block is perceptron else norm(sketch, given)
    return residual(sketch, made, x) if can_add(made, x) and sketch.draw.chance(0.6) else made


def linear(sketch: Sketch, x: Value, channels: int) -> Value:
    """QLinearMatMul by a constant matrix, with one scale or one for each channel."""
    draw = sketch.draw
    values = draw.bytes((x.shape[1], channels), np.dtype(np.int8))
    count = channels if draw.chance(0.5) else 1
    scales = np.array([draw.log_uniform(1e-3, 4e-3) for _ in range(count)], np.float32)
    weight = [sketch.constant("weight", values), sketch.constant("scale", scales if count > 1 else scales[0]),
              sketch.constant("zero_point", np.zeros(count if count > 1 else (), np.int8))]
    real = x.real @ (values.astype(np.float64) * scales)
    scale, zero = fit(draw, real, x.dtype, x.scale)
    name = sketch.node("QLinearMatMul", [*sketch.operand(x), *weight, *sketch.quantization(scale, zero, x.dtype)])
    return sketch.quantized(name, real, x.dtype, scale, zero)


def norm(sketch: Sketch, x: Value) -> Value:
    """DequantizeLinear, LayerNormalization, QuantizeLinear."""
    draw, channels = sketch.draw, x.shape[1]
    gamma = (draw.rng.choice([-1, 1], channels) * draw.rng.uniform(0.05, 1.5, channels)).astype(np.float32)
    beta = draw.rng.uniform(-1, 1, channels).astype(np.float32)
    gamma[draw.rng.random(channels) < 0.05] = 0
    operands = [sketch.constant("gamma", gamma), *([sketch.constant("beta", beta)] if draw.chance(0.8) else [])]
    epsilon = draw.pick([1e-5, 1e-6, 1e-12, 0.1])
    name = sketch.node("LayerNormalization", [sketch.node("DequantizeLinear", sketch.operand(x)), *operands], axis=-1,
                       epsilon=epsilon)
    centred = x.real - x.real.mean(axis=1, keepdims=True)
    real = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon) * gamma + beta * (len(operands) > 1)
    return _quantize(sketch, name, real, x)


def perceptron(sketch: Sketch, x: Value) -> Value:
    """Two products with a GELU, a SiLU or a Tanh between them."""
    hidden = linear(sketch, x, sketch.draw.pick([4, 12, 20]))
    real = sketch.node("DequantizeLinear", sketch.operand(hidden))
    kind = sketch.draw.pick(["gelu", "silu", "tanh"])
    if kind == "gelu":
        divided = sketch.node("Div", [real, sketch.constant("root", np.float32(2**0.5))])
        added = sketch.node("Add", [sketch.node("Erf", [divided]), sketch.constant("one", np.float32(1))])
        name = sketch.node("Mul", [sketch.node("Mul", [real, added]), sketch.constant("half", np.float32(0.5))])
        values = hidden.real * (1 + ERF(hidden.real / 2**0.5)) / 2
    elif kind == "silu":
        name = sketch.node("Mul", [real, sketch.node("Sigmoid", [real])])
        values = hidden.real / (1 + np.exp(-np.clip(hidden.real, -50, 50)))
    else:
        name, values = sketch.node("Tanh", [real]), np.tanh(hidden.real)
    return linear(sketch, _quantize(sketch, name, values, hidden), x.shape[1])


def attention(sketch: Sketch, x: Value, heads: int) -> Value:
    """Queries, keys and values, taken apart by heads, their scores, softmax and mixture, and a product after them."""
    (q, q_name), (k, k_name), (v, v_name) = _heads(sketch, x, heads)
    draw, depth = sketch.draw, x.shape[1] // heads
    scores = _product(sketch, (q, q_name), (k, k_name), _by_head(q, heads) @ _by_head(k, heads).swapaxes(1, 2), fits=8.0)
    steps = draw.pick([draw.integer(100, 511), draw.log_uniform(64, 511)])
    weights = _softmax(sketch, scores, np.float32(1 / steps))
    mixed = _product(sketch, (weights, weights.name), (v, v_name), weights.real @ _by_head(v, heads))
    turned = sketch.node("Transpose", [mixed.name], perm=[0, 2, 1, 3])
    shape = sketch.constant("shape", np.array([0, x.shape[0], heads * depth], np.int64))
    together = np.ascontiguousarray(mixed.sample.swapaxes(0, 1)).reshape(x.shape[0], -1)
    joined = sketch.value(sketch.node("Reshape", [turned, shape]), together, mixed.scale, mixed.zero)
    return linear(sketch, joined, x.shape[1])


def _by_head(x: Value, heads: int) -> Array:
    """The real values of tokens as [H, T, D]."""
    return x.real.reshape(x.shape[0], heads, -1).swapaxes(0, 1)


def _heads(sketch: Sketch, x: Value, heads: int) -> list[tuple[Value, str]]:
    """Queries, keys and values: each as tokens, and the name of the operand [N, H, T, D], of keys [N, H, D, T]."""
    tokens, channels = x.shape
    orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    if sketch.draw.chance(0.4):
        parts = [linear(sketch, x, channels) for _ in orders]
        names = [part.name for part in parts]
    else:
        whole = linear(sketch, x, 3 * channels)
        samples = np.split(whole.sample, 3, axis=1)
        parts = [Value(whole.name, sample, whole.scale, whole.zero, (tokens, 1, channels)) for sample in samples]
        if sketch.draw.chance(0.5):
            return list(zip(parts, _joined(sketch, whole, heads), strict=True))
        split = sketch.constant("parts", np.array([channels] * 3, np.int64))
        first = sketch.node("Split", [whole.name, split], outputs=3, axis=2)
        names = [first, f"{first}1", f"{first}2"]
    shape = sketch.constant("shape", np.array([0, 0, heads, channels // heads], np.int64))
    apart = [sketch.node("Reshape", [name, shape]) for name in names]
    moved = [sketch.node("Transpose", [name], perm=order) for name, order in zip(apart, orders, strict=True)]
    return list(zip(parts, moved, strict=True))


def _joined(sketch: Sketch, whole: Value, heads: int) -> list[str]:
    """The operands out of one tensor by Reshape, Transpose and Gather, as timm has them."""
    shape = np.array([0, whole.shape[0], 3, heads, whole.shape[1] // 3 // heads], np.int64)
    apart = sketch.node("Reshape", [whole.name, sketch.constant("shape", shape)])
    moved = sketch.node("Transpose", [apart], perm=[2, 0, 3, 1, 4])
    q, k, v = (sketch.node("Gather", [moved, sketch.constant("place", np.int64(place))], axis=0) for place in range(3))
    return [q, sketch.node("Transpose", [k], perm=[0, 1, 3, 2]), v]


def _product(sketch: Sketch, a: tuple[Value, str], b: tuple[Value, str], real: Array, fits: float | None = None) -> Value:
    """QLinearMatMul of two activations; `fits`: what the largest real value is brought to by the scale, about."""
    (first, first_name), (second, second_name) = a, b
    dtype = first.dtype
    scale, zero = fit(sketch.draw, real, dtype, np.maximum(first.scale, second.scale))
    inputs = [first_name, *sketch.quantization(first.scale, first.zero, dtype), second_name,
              *sketch.quantization(second.scale, second.zero, dtype), *sketch.quantization(scale, zero, dtype)]
    name = sketch.node("QLinearMatMul", inputs)
    made = sketch.quantized(name, real, dtype, scale, zero)
    if fits is None:
        return made
    return Value(name, made.sample, np.float32(fits / 128 * sketch.draw.log_uniform(0.3, 3)), made.zero, made.layout)


def _softmax(sketch: Sketch, x: Value, scale: np.float32) -> Value:
    """QLinearSoftmax of scores, whose scale is read anew: bytes are bytes."""
    zero = byte_range(x.dtype)[0] if sketch.draw.chance(0.8) else sketch.draw.zero_point(x.dtype)
    exponents = np.exp(x.real - x.real.max(axis=-1, keepdims=True))
    real = exponents / exponents.sum(axis=-1, keepdims=True)
    inputs = [*sketch.operand(x), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearSoftmax", inputs, MICROSOFT, axis=-1, opset=13)
    return sketch.quantized(name, real, x.dtype, scale, zero)


def _with_learnt(sketch: Sketch, x: Value) -> Value:
    """QLinearConcat of a constant token and tokens."""
    values = sketch.draw.bytes((1, 1, x.shape[1]), x.dtype)
    token = Value(sketch.constant("token", values), values, x.scale, x.zero, x.layout)
    parameters = sketch.quantization(x.scale, x.zero, x.dtype)
    name = sketch.node("QLinearConcat", [*parameters, *sketch.operand(token), *sketch.operand(x)], MICROSOFT, axis=1)
    return sketch.value(name, np.concatenate([values[0], x.sample]), x.scale, x.zero)


def _with_positions(sketch: Sketch, x: Value) -> Value:
    """QLinearAdd of a constant for each token."""
    values = sketch.draw.bytes((1, *x.shape), x.dtype)
    positions = Value(sketch.constant("positions", values), values[0], x.scale, sketch.draw.zero_point(x.dtype), x.layout)
    return residual(sketch, x, positions)


def _quantize(sketch: Sketch, name: str, real: Array, like: Value) -> Value:
    scale, zero = fit(sketch.draw, real, like.dtype, like.scale)
    made = sketch.node("QuantizeLinear", [name, *sketch.quantization(scale, zero, like.dtype)])
    return sketch.quantized(made, real, like.dtype, scale, zero)


def _add_output(sketch: Sketch, x: Value) -> None:
    """The bytes of all tokens, or scores of classes from the first one."""
    if sketch.draw.chance(0.5):
        sketch.add_output(x.name, x.dtype, x.shape)
        return
    first = sketch.node("Gather", [x.name, sketch.constant("place", np.int64(0))], axis=1)
    scores = linear(sketch, Value(first, x.sample[:1], x.scale, x.zero, (1, 1, x.shape[1])), 10)
    sketch.add_output(sketch.node("DequantizeLinear", sketch.operand(scores)), np.dtype(np.float32), (10,))
