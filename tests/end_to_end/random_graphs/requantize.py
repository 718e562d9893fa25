"""Scales of products, chosen from the sample's accumulators so that results fill their range and include ties."""

from dataclasses import dataclass

import numpy as np

from .draw import Array, Draw, byte_range, power_of_two
from .fit import draw_style, zero_for
from .sketch import Value
from .weights import Weights

ONE = np.float32(1)
LARGE = 2.0**24  # from here on, float32 does not represent every integer


@dataclass(frozen=True)
class Requantization:
    """``weight_scale`` scalar or [M]; ``factor`` = fl(fl(fl(alpha * x_scale) * weight_scale) / scale), likewise."""

    weight_scale: Array
    factor: Array
    scale: np.float32
    zero: int

    def apply(self, sums: Array, dtype: np.dtype) -> Array:
        """The bytes that accumulators [M, ...] become: clamp(rne(fl(fl(acc) * factor)) + zero)."""
        column = self.factor.reshape(-1, *[1] * (sums.ndim - 1))
        return np.clip(np.rint(sums.astype(np.float32) * column) + self.zero, *byte_range(dtype)).astype(dtype)


def requantize(draw: Draw, x: Value, weights: Weights, bias: Array | None, sums: Array,
               alpha: np.float32 = ONE) -> Requantization:
    """Scales and zero point for accumulators [M, ...] of the sample, bias included."""
    expected = _expected(x, weights, bias, sums)
    large = weights.per_channel and float(np.abs(sums).max()) >= LARGE
    chosen = "tie" if large and draw.chance(0.7) else draw_style(draw)
    scale = x.scale if chosen == "equal" else np.float32(draw.log_uniform(2**-10, 1))
    scale = power_of_two(float(scale)) if chosen == "power" else scale
    wanted = _factors(draw, expected, weights.per_channel)
    if chosen == "tie":
        wanted = _on_ties(draw, wanted, sums.reshape(len(sums), -1))
    if chosen == "power" or (chosen == "equal" and draw.chance(0.6)):
        weight_scale = _powers(wanted * float(scale) / float(x.scale) / float(alpha))
    else:
        weight_scale = _tuned(np.float32(alpha * x.scale), wanted.astype(np.float32), scale)
    factor = np.float32(alpha * x.scale) * weight_scale / scale
    bounds = expected * factor.reshape(-1, 1)
    zero = zero_for(draw, float(np.median(bounds[:, 0])), float(np.median(bounds[:, 1])), x.dtype)
    return Requantization(weight_scale, factor, scale, zero)


def _expected(x: Value, weights: Weights, bias: Array | None, sums: Array) -> Array:
    """Lowest and highest expected accumulator in each channel, [M, 2], 0 included.

    A sample with one element per channel underestimates the range, so 2.5 standard deviations of a sum of independent
    elements are added.
    """
    elements = x.sample.astype(np.float64) - x.zero
    flat = weights.shifted.reshape(len(sums), -1)
    middle = flat.sum(axis=1) * elements.mean() + (0 if bias is None else bias)
    deviation = 2.5 * np.sqrt((flat**2).sum(axis=1)) * max(float(elements.std()), 8.0)
    seen = sums.reshape(len(sums), -1)
    low = np.minimum(np.minimum(seen.min(axis=1), middle - deviation), 0)
    return np.stack([low, np.maximum(np.maximum(seen.max(axis=1), middle + deviation), 0)], axis=1)


def _factors(draw: Draw, expected: Array, per_channel: bool) -> Array:
    """The multipliers that make accumulators fill the range, [M] or scalar; sometimes far too large or too small."""
    spread = np.maximum(expected[:, 1] - expected[:, 0], 1)
    spread = spread if per_channel else np.array(np.quantile(spread, 0.75))
    wild = draw.log_uniform(1 / 64, 16) if draw.chance(0.04) else 1.0
    factors = 255 / spread * draw.log_uniform(0.4, 1.3) * wild
    return factors * draw.rng.uniform(0.8, 1.2, factors.shape)


def _on_ties(draw: Draw, factors: Array, sums: Array) -> Array:
    """The factors adjusted so that an accumulator of each channel, or of one, is halfway between two bytes.

    This exposes any rounding more or less than in float32.
    """
    if factors.ndim == 0:
        channel = draw.integer(0, len(sums) - 1)
        return np.array(_on_tie(draw, float(factors), sums[channel]))
    return np.array([_on_tie(draw, factor, channel) for factor, channel in zip(factors, sums, strict=True)])


def _on_tie(draw: Draw, factor: float, sums: Array) -> float:
    total = abs(float(draw.pick(sums)))
    if total == 0:
        return factor
    below = draw.integer(5, 60) if total >= LARGE else int(total * factor)
    return (min(below, 200) + 0.5) / total


def _powers(scales: Array) -> Array:
    return np.exp2(np.rint(np.log2(scales))).astype(np.float32)


def _tuned(x_scale: np.float32, factors: Array, scale: np.float32) -> Array:
    """The weight scales that give these factors, or come nearest to them, after two roundings."""
    start = (factors.astype(np.float64) * float(scale) / float(x_scale)).astype(np.float32)
    near = np.stack([(start.view(np.int32) + step).view(np.float32) for step in range(-3, 4)])
    distance = np.abs((x_scale * near / scale).astype(np.float64) - factors)
    return np.take_along_axis(near, distance.argmin(axis=0)[np.newaxis], axis=0)[0]
