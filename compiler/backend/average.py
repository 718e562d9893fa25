"""The thresholds that turn the ordered float32 sum of an average pool into its byte."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.steps import Average
from arrayloom.isa.arithmetic import SIGNIFICANT, split_float
from arrayloom.isa.instructions import THRESHOLDS

LARGEST_TERM = 255 << SIGNIFICANT


def multiplier(operation: Average) -> int:
    """The 24-bit integer in whose last place the sum is counted."""
    return split_float(float(operation.x_scale))[0]


def thresholds(operation: Average, count: int) -> NDArray[np.int64]:
    """int64[256]: entry i is the least sum, in units of the scale's last place, that gives -128 + i.

    ``count``: elements that the average divides by. The result grows with the sum, so each threshold is found by
    bisection, all of them at once.
    """
    limit = operation.taps.kernel[0] * operation.taps.kernel[1] * LARGEST_TERM
    low = np.full(THRESHOLDS, -limit, np.int64)
    high = np.full(THRESHOLDS, limit + 1, np.int64)
    wanted = np.arange(THRESHOLDS) - 128
    while (low < high).any():
        middle = (low + high) >> 1
        reached = _result(operation, middle, count) >= wanted
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return low


def _result(operation: Average, total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The signed byte, not clamped, for sums in units of the scale's last place."""
    exponent = split_float(float(operation.x_scale))[1]
    value = np.ldexp(total.astype(np.float64), exponent).astype(np.float32)
    shift = 128 if operation.unsigned else 0
    zero = np.float32(operation.y_zero + shift)
    shifted = value / np.float32(count) / operation.y_scale + zero
    return np.rint(np.clip(shifted, -1000, 1000)).astype(np.int64) - shift
