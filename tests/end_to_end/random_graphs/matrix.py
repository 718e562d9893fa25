"""QLinearConv, QLinearMatMul and QGemm."""

from math import gcd, prod

import numpy as np

from .draw import Array, Draw
from .requantize import Requantization, requantize
from .sketch import MICROSOFT, Sketch, Value
from .weights import Weights, draw_bias, draw_weights
from .windows import Windows, draw_convolution


def convolution(sketch: Sketch, x: Value, windows: Windows | None = None, channels: int | None = None) -> Value | None:
    """A QLinearConv; a block may fix ``windows`` and the output's ``channels``."""
    draw = sketch.draw
    if x.spatial < 1 or not x.is_image:
        return None
    windows = windows or draw_convolution(draw, x.shape[1:])
    kernel = [axis.kernel for axis in windows.axes]
    outputs = prod(windows.outputs)
    most = min(sketch.budget // (outputs * prod(kernel) * x.shape[0]), sketch.room // outputs)
    if most < (channels or 1):
        return None
    made = channels or min(draw.channels(), most)
    group = _group(draw, x.shape[0], made)
    weights = draw_weights(draw, (made, x.shape[0] // group, *kernel), x.dtype, zeros_differ=False)
    sums = _sums(weights, windows.gather(x.sample.astype(np.float64) - x.zero, 0), group)
    bias = draw_bias(draw, weights, sums) if draw.chance(0.7) else None
    sums = sums if bias is None else sums + bias.reshape(-1, *[1] * len(kernel))
    made_by = requantize(draw, x, weights, bias, sums)
    inputs = [*sketch.operand(x), *_constant(sketch, weights.values, weights, made_by), *_result(sketch, made_by, x)]
    inputs += [] if bias is None else [sketch.constant("bias", bias)]
    name = sketch.node("QLinearConv", inputs, group=group if group > 1 else None, **windows.attributes)
    return sketch.value(name, made_by.apply(sums, x.dtype), made_by.scale, made_by.zero)


def _group(draw: Draw, channels: int, made: int) -> int:
    """Mostly 1; sometimes the largest number of groups that both numbers of channels allow, or a divisor of it."""
    most = gcd(channels, made)
    if most == 1 or draw.chance(0.8):
        return 1
    return draw.pick([most, draw.pick([count for count in range(1, most + 1) if most % count == 0])])


def _sums(weights: Weights, patches: Array, group: int) -> Array:
    """Products of weights [M, C / group, *kernel] and patches [C, *outputs, *kernel], summed: [M, *outputs], exact."""
    count = weights.values.ndim - 2
    axes = list(range(1, 2 + count)), [0, *range(1 + count, 1 + 2 * count)]
    parts = zip(np.split(weights.shifted, group), np.split(patches, group), strict=True)
    return np.concatenate([np.tensordot(part, image, axes) for part, image in parts])


def matmul(sketch: Sketch, x: Value) -> Value | None:
    """QLinearMatMul by a constant [K, M]."""
    if len(x.shape) != 1:
        return None
    weights, sums = _product(sketch, x)
    made_by = requantize(sketch.draw, x, weights, None, sums)
    constant = _constant(sketch, np.ascontiguousarray(weights.values.T), weights, made_by)
    name = sketch.node("QLinearMatMul", [*sketch.operand(x), *constant, *_result(sketch, made_by, x)])
    return sketch.value(name, made_by.apply(sums, x.dtype), made_by.scale, made_by.zero)


def gemm(sketch: Sketch, x: Value) -> Value | None:
    """QGemm with and without bias, transB and alpha."""
    draw = sketch.draw
    if len(x.shape) != 1:
        return None
    weights, sums = _product(sketch, x)
    bias = draw_bias(draw, weights, sums) if draw.chance(0.75) else None
    sums = sums if bias is None else sums + bias
    alpha = np.float32(draw.pick([0.5, 2.0, draw.log_uniform(0.2, 4)]) if draw.chance(0.25) else 1)
    made_by = requantize(draw, x, weights, bias, sums, alpha)
    transposed = draw.chance(0.5)
    values = weights.values if transposed else np.ascontiguousarray(weights.values.T)
    inputs = [*sketch.operand(x), *_constant(sketch, values, weights, made_by)]
    inputs += ["" if bias is None else sketch.constant("bias", bias), *_result(sketch, made_by, x)]
    name = sketch.node("QGemm", inputs, MICROSOFT, transB=int(transposed), alpha=float(alpha) if alpha != 1 else None)
    return sketch.value(name, made_by.apply(sums, x.dtype), made_by.scale, made_by.zero)


def _product(sketch: Sketch, x: Value) -> tuple[Weights, Array]:
    """Weights [M, K] and their sums [M] for the sample."""
    most = max(sketch.budget // x.shape[0], 1)
    weights = draw_weights(sketch.draw, (min(sketch.draw.channels(), most), x.shape[0]), x.dtype, zeros_differ=True)
    return weights, weights.shifted @ (x.sample.astype(np.float64) - x.zero)


def _constant(sketch: Sketch, values: Array, weights: Weights, made_by: Requantization) -> list[str]:
    """The constant operand: weights in the operator's order, scale, zero point."""
    return [sketch.constant("weight", values), sketch.constant("weight_scale", made_by.weight_scale),
            sketch.constant("weight_zero_point", weights.zeros)]


def _result(sketch: Sketch, made_by: Requantization, x: Value) -> list[str]:
    return sketch.quantization(made_by.scale, made_by.zero, x.dtype)
