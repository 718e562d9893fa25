"""QLinearMul, and operands that broadcast: gates, maps, constants."""

import numpy as np

from .draw import Array
from .elementwise import MOST_RATIO, can_add
from .fit import fit, zero_for
from .matrix import convolution
from .pooling import global_average
from .rounding import of_add, of_product
from .sketch import MICROSOFT, Sketch, Value
from .windows import draw_same

LEAST, MOST = 2.0**-14, 0.9     # limits of the scale of a product of bytes


def product(sketch: Sketch, x: Value) -> Value | None:
    """QLinearMul with a value of the same shape, or with itself, in either order."""
    partners = [value for value in sketch.values if can_add(value, x)]
    return multiply(sketch, x, sketch.draw.pick(partners) if partners else x)


def multiply(sketch: Sketch, x: Value, other: Value) -> Value:
    """The product of two values that broadcast to the shape of the first, in either order."""
    a, b = (x, other) if sketch.draw.chance(0.5) else (other, x)
    real = a.real * b.real
    wide = [np.broadcast_to(value.sample, real.shape) for value in (a, b)]
    rounding = of_product((wide[0], wide[1]), (a.scale, b.scale), (a.zero, b.zero))
    scale, zero = fit(sketch.draw, real, x.dtype, np.maximum(a.scale, b.scale), rounding)
    scale, zero = _bounded(sketch, real, a.scale * b.scale, (scale, zero), x.dtype)
    inputs = [*sketch.operand(a), *sketch.operand(b), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearMul", inputs, MICROSOFT)
    return sketch.quantized(name, real, x.dtype, scale, zero, x.layout, zero_inside=True)


def _bounded(sketch: Sketch, real: Array, unit: np.float32, chosen: tuple[np.float32, int],
             dtype: np.dtype) -> tuple[np.float32, int]:
    """The chosen scale and zero point, replaced if the product's scale would exceed what the lanes support."""
    scale = np.clip(chosen[0], unit / np.float32(MOST), unit / np.float32(LEAST))
    if scale == chosen[0]:
        return chosen
    return scale, zero_for(sketch.draw, float(real.min()) / float(scale), float(real.max()) / float(scale), dtype)


def spread(sketch: Sketch, x: Value) -> Value | None:
    """QLinearMul or QLinearAdd with one value per channel from a mean, or one per pixel from a convolution."""
    if not x.is_image or x.spatial != 2 or x.sample.size < 2:
        return None
    if sketch.draw.chance(0.6):
        other = global_average(sketch, x)
    else:
        other = convolution(sketch, x, draw_same(sketch.draw, x.shape[1:]), channels=1)
    if other is None or other.dtype != x.dtype:
        return None
    if sketch.draw.chance(0.6):
        return multiply(sketch, x, other)
    ratio = float(x.scale) / float(other.scale)
    return _sum(sketch, x, other) if 1 / MOST_RATIO <= ratio <= MOST_RATIO else None


def _sum(sketch: Sketch, x: Value, other: Value) -> Value:
    a, b = (x, other) if sketch.draw.chance(0.5) else (other, x)
    real = a.real + b.real
    wide = [np.broadcast_to(value.sample, real.shape) for value in (a, b)]
    rounding = of_add(wide[0], wide[1], (a.scale, b.scale), (a.zero, b.zero))
    scale, zero = fit(sketch.draw, real, x.dtype, np.maximum(a.scale, b.scale), rounding)
    inputs = [*sketch.operand(a), *sketch.operand(b), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearAdd", inputs, MICROSOFT)
    return sketch.quantized(name, real, x.dtype, scale, zero, x.layout, zero_inside=True)


def with_constant(sketch: Sketch, x: Value) -> Value | None:
    """QLinearMul or QLinearAdd with a constant, a scalar or one value per channel, on either side."""
    draw = sketch.draw
    if not x.is_image:
        return None
    shape = draw.pick([(), (x.shape[0], *[1] * x.spatial)]) if x.spatial else (x.shape[0],)
    values = draw.bytes(shape, x.dtype)
    scale, zero = np.float32(draw.log_uniform(float(x.scale) / 4, float(x.scale) * 4)), draw.zero_point(x.dtype)
    other = Value(sketch.constant("factor", values), values, scale, zero, x.layout)
    real_other = (values.astype(np.float64) - zero) * np.float64(scale)
    operator = draw.pick(["QLinearMul", "QLinearAdd"])
    real = x.real * real_other if operator == "QLinearMul" else x.real + real_other
    made, offset = fit(draw, real, x.dtype, x.scale)
    operands = [sketch.operand(x), sketch.operand(other)]
    first, second = operands if draw.chance(0.5) else operands[::-1]
    name = sketch.node(operator, [*first, *second, *sketch.quantization(made, offset, x.dtype)], MICROSOFT)
    return sketch.quantized(name, real, x.dtype, made, offset, x.layout, zero_inside=True)
