"""QLinearConv, QLinearMatMul and QGemm."""

from dataclasses import dataclass

import numpy as np

from .draw import Array, Draw, power_of_two
from .fit import style, zero_for
from .sketch import MICROSOFT, Sketch, Value
from .windows import Windows, draw_convolution

ACCUMULATOR = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """A constant operand: ``values`` [M, ...] in its dtype, ``zeros`` scalar or [M]."""

    values: Array
    zeros: Array
    per_channel: bool

    @property
    def shifted(self) -> Array:
        """Values minus zero points, float64 (exact)."""
        column = self.zeros.reshape(-1, *[1] * (self.values.ndim - 1))
        return self.values.astype(np.float64) - column.astype(np.float64)

    @property
    def reach(self) -> Array:
        """Largest magnitude of an accumulator for each output channel, [M]."""
        return 255 * np.abs(self.shifted).sum(axis=tuple(range(1, self.values.ndim)))


def draw_weights(draw: Draw, shape: tuple[int, ...], x: np.dtype, zeros_differ: bool) -> Weights:
    """Weights [M, ...]; uint8 ones only where the activations are unsigned, as ONNX Runtime has no other kernels."""
    dtype = np.dtype(draw.pick([np.int8, np.uint8], [3, 2])) if x == np.uint8 else np.dtype(np.int8)
    per_channel = draw.chance(0.5)
    symmetric = dtype == np.int8 and draw.chance(0.6)
    zero = 0 if symmetric else draw.zero_point(dtype)
    zeros = np.full(shape[0], zero, dtype) if per_channel else np.array(zero, dtype)
    if per_channel and zeros_differ and not symmetric and draw.chance(0.7):
        zeros = np.array([draw.zero_point(dtype) for _ in range(shape[0])], dtype)
    return Weights(draw.bytes(shape, dtype), zeros, per_channel)


def draw_bias(draw: Draw, weights: Weights, products: Array) -> Array:
    """int32 [M]: mostly as large as the products [M, ...], in a channel or two as large as the accumulator allows."""
    size = np.maximum(np.abs(products.reshape(len(products), -1)).max(axis=1), 1)
    bias = np.rint(draw.rng.uniform(-1, 1, len(products)) * size).astype(np.int64)
    if draw.chance(0.2 if weights.per_channel else 0.03):
        most = (ACCUMULATOR - weights.reach).astype(np.int64)
        extreme = draw.rng.random(len(products)) < 0.3
        bias = np.where(extreme, np.where(draw.rng.random(len(products)) < 0.5, most, -most), bias)
    return bias.astype(np.int32)


def reach(x: Value, weights: Weights, bias: Array | None, sums: Array) -> Array:
    """Lowest and highest accumulator to expect in each channel, [M, 2], 0 included.

    The sample [M, ...] alone misses much where it holds one element a channel, so 2.5 standard deviations of a sum of
    independent elements are added to it.
    """
    elements = x.sample.astype(np.float64) - x.zero
    flat = weights.shifted.reshape(len(sums), -1)
    middle = flat.sum(axis=1) * elements.mean() + (0 if bias is None else bias)
    deviation = 2.5 * np.sqrt((flat**2).sum(axis=1)) * max(float(elements.std()), 8.0)
    seen = sums.reshape(len(sums), -1)
    low = np.minimum(np.minimum(seen.min(axis=1), middle - deviation), 0)
    return np.stack([low, np.maximum(np.maximum(seen.max(axis=1), middle + deviation), 0)], axis=1)


def draw_scales(draw: Draw, x: Value, expected: Array, per_channel: bool) -> tuple[Array, np.float32]:
    """Weight scales (scalar or [M]) and the output's, so that the expected accumulators [M, 2] fill its range."""
    spread = np.maximum(expected[:, 1] - expected[:, 0], 1)
    spread = spread if per_channel else np.array(np.quantile(spread, 0.75))
    wild = draw.log_uniform(1 / 64, 16) if draw.chance(0.04) else 1.0
    wanted = 255 / spread * draw.log_uniform(0.4, 1.3) * wild
    chosen = style(draw)
    scale = x.scale if chosen == "equal" else np.float32(draw.log_uniform(2**-10, 1))
    scale = power_of_two(float(scale)) if chosen == "power" else scale
    weight_scales = wanted * float(scale) / float(x.scale)
    if chosen == "power" or (chosen == "equal" and draw.chance(0.6)):
        return np.exp2(np.rint(np.log2(weight_scales))).astype(np.float32), scale
    return (weight_scales * draw.rng.uniform(0.8, 1.2, weight_scales.shape)).astype(np.float32), scale


def _finish(sketch: Sketch, x: Value, expected: Array, weight_scale: Array, scale: np.float32) -> tuple[list[str], int]:
    """Initializers of the output's quantization, and its zero point."""
    bounds = _real(x, expected, weight_scale) / float(scale)
    zero = zero_for(sketch.draw, float(np.median(bounds[:, 0])), float(np.median(bounds[:, 1])), x.dtype)
    return sketch.quantization(scale, zero, x.dtype), zero


def _real(x: Value, sums: Array, weight_scale: Array) -> Array:
    column = weight_scale.reshape(-1, *[1] * (sums.ndim - 1)).astype(np.float64)
    return sums * float(x.scale) * column


def convolution(sketch: Sketch, x: Value, windows: Windows | None = None, channels: int | None = None) -> Value | None:
    """A QLinearConv; ``windows`` and ``channels`` (of the output) where a block needs them so."""
    draw = sketch.draw
    if x.spatial < 1 or not x.is_image:
        return None
    windows = windows or draw_convolution(draw, x.shape[1:])
    outputs = int(np.prod(windows.outputs))
    kernel = [axis.kernel for axis in windows.axes]
    cost = outputs * int(np.prod(kernel)) * x.shape[0]
    most = min(sketch.budget // cost, sketch.room // outputs)
    if most < (channels or 1):
        return None
    weights = draw_weights(draw, (channels or min(draw.channels(), most), x.shape[0], *kernel), x.dtype, False)
    patches = windows.gather(x.sample.astype(np.float64) - x.zero, 0)
    count = len(windows.axes)
    axes = [0, *range(1 + count, 1 + 2 * count)]
    sums = np.tensordot(weights.shifted, patches, (list(range(1, 1 + len(axes))), axes))
    bias = draw_bias(draw, weights, sums) if draw.chance(0.7) else None
    if bias is not None:
        sums = sums + bias.reshape(-1, *[1] * count)
    expected = reach(x, weights, bias, sums)
    weight_scale, scale = draw_scales(draw, x, expected, weights.per_channel)
    quantization, zero = _finish(sketch, x, expected, weight_scale, scale)
    inputs = [*sketch.operand(x), *_weight_operand(sketch, weights.values, weight_scale, weights.zeros), *quantization]
    inputs += [] if bias is None else [sketch.constant("bias", bias)]
    name = sketch.node("QLinearConv", inputs, **windows.attributes)
    return sketch.quantized(name, _real(x, sums, weight_scale), x.dtype, scale, zero)


def _weight_operand(sketch: Sketch, values: Array, scale: Array, zeros: Array) -> list[str]:
    return [sketch.constant("weight", values), sketch.constant("weight_scale", scale),
            sketch.constant("weight_zero_point", zeros)]


def matmul(sketch: Sketch, x: Value) -> Value | None:
    """QLinearMatMul by a constant [K, M]."""
    if len(x.shape) != 1:
        return None
    weights, sums = _product(sketch, x)
    expected = reach(x, weights, None, sums)
    weight_scale, scale = draw_scales(sketch.draw, x, expected, weights.per_channel)
    quantization, zero = _finish(sketch, x, expected, weight_scale, scale)
    constant = _weight_operand(sketch, np.ascontiguousarray(weights.values.T), weight_scale, weights.zeros)
    name = sketch.node("QLinearMatMul", [*sketch.operand(x), *constant, *quantization])
    return sketch.quantized(name, _real(x, sums, weight_scale), x.dtype, scale, zero)


def gemm(sketch: Sketch, x: Value) -> Value | None:
    """QGemm with and without bias, transB and alpha."""
    draw = sketch.draw
    if len(x.shape) != 1:
        return None
    weights, sums = _product(sketch, x)
    bias = draw_bias(draw, weights, sums) if draw.chance(0.75) else None
    sums = sums if bias is None else sums + bias
    alpha = np.float32(draw.pick([0.5, 2.0, draw.log_uniform(0.2, 4)])) if draw.chance(0.25) else np.float32(1)
    expected = reach(x, weights, bias, sums)
    weight_scale, scale = draw_scales(draw, x, expected, weights.per_channel)
    weight_scale = (weight_scale / alpha).astype(np.float32)
    quantization, zero = _finish(sketch, x, expected, weight_scale * alpha, scale)
    transposed = draw.chance(0.5)
    values = weights.values if transposed else np.ascontiguousarray(weights.values.T)
    inputs = [*sketch.operand(x), *_weight_operand(sketch, values, weight_scale, weights.zeros)]
    inputs += ["" if bias is None else sketch.constant("bias", bias), *quantization]
    name = sketch.node("QGemm", inputs, MICROSOFT, transB=int(transposed), alpha=float(alpha) if alpha != 1 else None)
    return sketch.quantized(name, _real(x, sums, weight_scale * alpha), x.dtype, scale, zero)


def _product(sketch: Sketch, x: Value) -> tuple[Weights, Array]:
    """Weights [M, K] and the sums [M] they give with the sample."""
    most = max(sketch.budget // x.shape[0], 1)
    weights = draw_weights(sketch.draw, (min(sketch.draw.channels(), most), x.shape[0]), x.dtype, True)
    return weights, weights.shifted @ (x.sample.astype(np.float64) - x.zero)
