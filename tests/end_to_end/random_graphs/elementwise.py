"""QLinearAdd, QLinearConcat, bounds on bytes and ONNX Runtime's own tables."""

from collections.abc import Sequence

import numpy as np

from .draw import byte_range
from .fit import draw_style, fit, scale_near, zero_for
from .rounding import of_add
from .sketch import MICROSOFT, Sketch, Value

MOST_RATIO = 16.0  # largest ratio between the scales of an add's operands and its result


def add(sketch: Sketch, x: Value) -> Value | None:
    """QLinearAdd with another value of the same shape, or with itself, in either order."""
    partners = [value for value in sketch.values if can_add(value, x)]
    other = sketch.draw.pick(partners) if partners else x
    return None if not can_add(other, x) else residual(sketch, x, other)


def can_add(a: Value, b: Value) -> bool:
    """Whether a QLinearAdd of the two is possible, with scales close enough together."""
    ratio = float(a.scale) / float(b.scale)
    alike = a.shape == b.shape and a.layout == b.layout and a.dtype == b.dtype
    return alike and 1 / MOST_RATIO <= ratio <= MOST_RATIO


def residual(sketch: Sketch, x: Value, other: Value) -> Value:
    """The sum of two values of equal shape, in either order."""
    a, b = (x, other) if sketch.draw.chance(0.5) else (other, x)
    real = a.real + b.real
    rounding = of_add(a.sample, b.sample, (a.scale, b.scale), (a.zero, b.zero))
    scale, zero = fit(sketch.draw, real, x.dtype, np.maximum(a.scale, b.scale), rounding)
    inputs = [*sketch.operand(a), *sketch.operand(b), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearAdd", inputs, MICROSOFT)
    return sketch.quantized(name, real, x.dtype, scale, zero, x.layout, zero_inside=True)


def concat(sketch: Sketch, x: Value) -> Value | None:
    """QLinearConcat with one to three other values of the same height and width; sometimes with itself."""
    if not x.is_image:
        return None
    repeated = sketch.draw.chance(0.2)
    partners = [value for value in sketch.values if can_concat(value, x) and (value is not x or repeated)]
    if not partners:
        return None
    count = sketch.draw.pick([1, 2, 3], [4, 2, 1])
    others = [sketch.draw.pick(partners) for _ in range(count)]
    parts = [*others, x] if sketch.draw.chance(0.5) else [x, *others]
    return join(sketch, parts)


def can_concat(a: Value, b: Value) -> bool:
    alike = a.shape[1:] == b.shape[1:] and len(a.shape) == len(b.shape) and a.dtype == b.dtype
    return alike and a.is_image and b.is_image


def join(sketch: Sketch, parts: Sequence[Value]) -> Value | None:
    """The parts concatenated along the channels, sometimes along rows or columns, requantized to one scale."""
    draw, dtype = sketch.draw, parts[0].dtype
    alike = parts[0].spatial > 0 and all(part.shape == parts[0].shape for part in parts)
    along = draw.integer(1, parts[0].spatial) if alike and draw.chance(0.25) else 0
    real = np.concatenate([part.real for part in parts], axis=along)
    if real.size > sketch.room:
        return None
    if draw.chance(0.25):
        scale, zero = parts[0].scale, parts[0].zero
    else:
        scale, zero = fit(draw, real, dtype, draw.pick(parts).scale)
    operands = [name for part in parts for name in sketch.operand(part)]
    axis = draw.pick([1 + along, along - real.ndim])
    name = sketch.node("QLinearConcat", [*sketch.quantization(scale, zero, dtype), *operands], MICROSOFT, axis=axis)
    return sketch.quantized(name, real, dtype, scale, zero)


def relu(sketch: Sketch, x: Value) -> Value | None:
    """Relu on int8: ONNX Runtime has none for uint8."""
    if x.dtype != np.int8:
        return None
    name = sketch.node("Relu", [x.name])
    return sketch.value(name, np.maximum(x.sample, 0), x.scale, x.zero, x.layout)


def clip(sketch: Sketch, x: Value) -> Value | None:
    """Clip on bytes with one or two bounds; not after a Relu, which ONNX Runtime 1.32 fuses with it for floats only."""
    draw = sketch.draw
    if sketch.producer(x) == "Relu":
        return None
    least, most = byte_range(x.dtype)
    low, high = sorted((draw.integer(least, most), draw.integer(least, most)))
    low, high = min(low, quantile(x, 0.4)), max(high, quantile(x, 0.6))
    bounds = draw.pick(["both", "low", "high"])
    names = [x.name, "" if bounds == "high" else sketch.constant("low", np.array(low, x.dtype))]
    names += [] if bounds == "low" else [sketch.constant("high", np.array(high, x.dtype))]
    sample = np.clip(x.sample, least if bounds == "high" else low, most if bounds == "low" else high).astype(x.dtype)
    return sketch.value(sketch.node("Clip", names), sample, x.scale, x.zero, x.layout)


def quantile(x: Value, share: float) -> int:
    """The byte below which that share of the sample is."""
    return int(np.quantile(x.sample.astype(np.int64), share))


def bound(sketch: Sketch, x: Value) -> Value:
    """Max or Min of bytes and one constant."""
    operator = sketch.draw.pick(["Max", "Min"])
    limit = np.array(quantile(x, sketch.draw.rng.uniform(0.1, 0.6)), x.dtype)
    combine = np.maximum if operator == "Max" else np.minimum
    limits = limit.reshape(sketch.draw.pick([(), (1,)]))
    name = sketch.node(operator, [x.name, sketch.constant("limit", limits)])
    return sketch.value(name, combine(x.sample, limit), x.scale, x.zero, x.layout)


def table(sketch: Sketch, x: Value) -> Value:
    """QLinearLeakyRelu and QLinearSigmoid, which ONNX Runtime computes by table."""
    draw = sketch.draw
    if draw.chance(0.5):
        alpha = draw.log_uniform(0.01, 1)
        real = np.where(x.real > 0, x.real, x.real * alpha)
        scale, zero = fit(draw, real, x.dtype, x.scale)
        inputs = [*sketch.operand(x), *sketch.quantization(scale, zero, x.dtype)]
        name = sketch.node("QLinearLeakyRelu", inputs, MICROSOFT, alpha=alpha)
    else:
        real = 1 / (1 + np.exp(-np.clip(x.real, -50, 50)))
        scale = scale_near(draw, draw_style(draw), 1 / 255, x.scale, real)
        zero = zero_for(draw, 0, 1 / float(scale), x.dtype)
        inputs = [*sketch.operand(x), *sketch.quantization(scale, zero, x.dtype)]
        name = sketch.node("QLinearSigmoid", inputs, MICROSOFT)
    return sketch.quantized(name, real, x.dtype, scale, zero, x.layout)
