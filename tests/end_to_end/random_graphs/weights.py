"""Constant operands of products: weights with their zero points, biases."""

from dataclasses import dataclass

import numpy as np

from .draw import Array, Draw

ACCUMULATOR = 2**31 - 1


@dataclass(frozen=True)
class Weights:
    """``values`` [M, ...] in their dtype; ``zeros`` scalar or [M]."""

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
        """Largest magnitude of the products' sum in each output channel, [M]."""
        return 255 * np.abs(self.shifted).sum(axis=tuple(range(1, self.values.ndim)))


def draw_weights(draw: Draw, shape: tuple[int, ...], x: np.dtype, zeros_differ: bool) -> Weights:
    """Weights [M, ...]; uint8 only for unsigned activations, as ONNX Runtime has no other kernels.

    ``zeros_differ``: whether the operator takes zero points that differ between channels.
    """
    dtype = np.dtype(draw.pick([np.int8, np.uint8], [3, 2])) if x == np.uint8 else np.dtype(np.int8)
    per_channel = draw.chance(0.5)
    symmetric = dtype == np.int8 and draw.chance(0.6)
    zero = 0 if symmetric else draw.zero_point(dtype)
    zeros = np.full(shape[0], zero, dtype) if per_channel else np.array(zero, dtype)
    if per_channel and zeros_differ and not symmetric and draw.chance(0.7):
        zeros = np.array([draw.zero_point(dtype) for _ in range(shape[0])], dtype)
    return Weights(draw.bytes(shape, dtype), zeros, per_channel)


def draw_bias(draw: Draw, weights: Weights, sums: Array) -> Array:
    """int32 [M]: mostly as large as the sums [M, ...], in some channels too large for float32 to represent the total."""
    size = np.maximum(np.abs(sums.reshape(len(sums), -1)).max(axis=1), 1)
    bias = np.rint(draw.rng.uniform(-1, 1, len(sums)) * size).astype(np.int64)
    if draw.chance(0.25 if weights.per_channel else 0.03):
        most = (ACCUMULATOR - weights.reach) * np.exp2(-draw.rng.uniform(0, 6, len(sums)))
        large = np.where(draw.rng.random(len(sums)) < 0.5, most, -most).astype(np.int64)
        bias = np.where(draw.rng.random(len(sums)) < 0.3, large, bias)
    return bias.astype(np.int32)
