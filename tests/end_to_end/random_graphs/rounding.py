"""Operators whose float32 rounding affects few bytes: each formula with the likely mistakes in it.

Formulas are those of ONNX Runtime; float64 computes sums of products of bytes and float32 numbers exactly enough.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .draw import Array, Draw

CANDIDATES, ELEMENTS = 24, 256

Formula = Callable[[np.float32, int], Array]


@dataclass(frozen=True)
class Rounding:
    """An operator's results for part of its sample, an output scale and a zero point, before clamping.

    ``exact`` is the operator's result; ``mistaken`` are versions with one rounding more or less.
    """

    exact: Formula
    mistaken: tuple[Formula, ...]


def sharpest(draw: Draw, real: Array, scale: np.float32, zero: int, rounding: Rounding) -> np.float32:
    """A scale near ``scale`` that exposes the mistakes best: values of ``real`` lie at or next to ties."""
    values = np.abs(real.reshape(-1))
    values = values[values > float(scale)]
    if values.size == 0:
        return scale
    chosen = draw.rng.choice(values, CANDIDATES)
    scales = (chosen / (np.trunc(chosen / float(scale)) + 0.5)).astype(np.float32)
    return max(scales, key=lambda candidate: _mistakes(candidate, zero, rounding))


def _mistakes(scale: np.float32, zero: int, rounding: Rounding) -> float:
    """The number of mistakes that change any value, then the number of changed values."""
    exact = rounding.exact(scale, zero)
    shown = [int((mistaken(scale, zero) != exact).sum()) for mistaken in rounding.mistaken]
    return sum(count > 0 for count in shown) + sum(shown) / (1 + exact.size * len(shown))


def of_add(a: Array, b: Array, scales: tuple[np.float32, np.float32], zeros: tuple[int, int]) -> Rounding:
    """QLinearAdd of bytes a and b: y = rne(fma(a, ra, fma(b, rb, f)))."""
    x, y = (value.reshape(-1)[:ELEMENTS].astype(np.float64) for value in (a, b))

    def parts(scale: np.float32, zero: int) -> tuple[Array, Array]:
        ra, rb = (np.float64(np.float32(one / scale)) for one in scales)
        shift = np.float32(ra * zeros[0] + np.float64(np.float32(rb * zeros[1])))
        return x * ra, y * rb + np.float64(np.float32(np.float32(zero) - shift))

    def exact(scale: np.float32, zero: int) -> Array:
        product, inner = parts(scale, zero)
        return np.rint((product + inner.astype(np.float32)).astype(np.float32))

    def inner_unrounded(scale: np.float32, zero: int) -> Array:
        return np.rint(sum(parts(scale, zero)).astype(np.float32))

    def outer_unrounded(scale: np.float32, zero: int) -> Array:
        product, inner = parts(scale, zero)
        return np.rint(product + inner.astype(np.float32))

    return Rounding(exact, (inner_unrounded, outer_unrounded))


def of_product(samples: tuple[Array, Array], scales: tuple[np.float32, np.float32], zeros: tuple[int, int]) -> Rounding:
    """QLinearMul of bytes: y = rne(fl(fl(product * s) + zero)) with s = fl(fl(sa * sb) / scale)."""
    a, b = (sample.reshape(-1)[:ELEMENTS].astype(np.int64) - zero for sample, zero in zip(samples, zeros, strict=True))
    product, unit = a * b, scales[0] * scales[1]

    def exact(scale: np.float32, zero: int) -> Array:
        return np.rint(product.astype(np.float32) * (unit / scale) + np.float32(zero))

    def zero_outside(scale: np.float32, zero: int) -> Array:
        return np.rint(product.astype(np.float32) * (unit / scale)) + zero

    def unrounded(scale: np.float32, zero: int) -> Array:
        return np.rint(product * np.float64(unit / scale) + zero)

    return Rounding(exact, (zero_outside, unrounded))


def of_average(patches: Array, divisor: Array, scale: np.float32, zero: int) -> Rounding:
    """QLinearAveragePool of windows [..., taps] of bytes, NaN in the padding: ordered float32 sums."""
    steps = patches.reshape(-1, patches.shape[-1])[:ELEMENTS] - zero
    count = np.broadcast_to(divisor, patches.shape[:-1]).reshape(-1)[:ELEMENTS].astype(np.float32)
    terms = np.nan_to_num((steps.astype(np.float32) * scale).astype(np.float32))
    ordered = np.zeros(len(terms), np.float32)
    for tap in terms.T:
        ordered = ordered + tap
    at_once = (np.nansum(steps, axis=1) * np.float64(scale)).astype(np.float32)
    late = np.sum(terms, axis=1, dtype=np.float64).astype(np.float32)

    def result(total: Array) -> Formula:
        return lambda made, offset: np.rint(total / count / made + np.float32(offset))

    def zero_outside(made: np.float32, offset: int) -> Array:
        return np.rint(ordered / count / made) + offset

    return Rounding(result(ordered), (result(at_once), result(late), zero_outside))


def of_mean(sums: Array, scale: np.float32, count: int) -> Rounding:
    """QLinearGlobalAveragePool of integer sums: y = rne(fl(fl(acc) * s)) + zero with s = fl(x / fl(y * fl(count)))."""

    def factor(made: np.float32) -> np.float32:
        return scale / np.float32(made * np.float32(count))

    def exact(made: np.float32, offset: int) -> Array:
        return np.rint(sums.astype(np.float32) * factor(made)) + offset

    def unrounded(made: np.float32, offset: int) -> Array:
        return np.rint(sums * np.float64(factor(made))) + offset

    return Rounding(exact, (unrounded,))
