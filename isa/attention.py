"""The exact arithmetic of attention: the softmax of QLinearSoftmax, and layer normalization.

Sums of float32 values have a fixed order, and each addition is rounded once.
"""

import math

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.arithmetic import Ints
from arrayloom.isa.instructions import BYTE_VALUES

NORM_FRACTION = 20      # fraction bits of a normalized element
_RESERVE = 5.0          # the sum of a row stays a factor of e**5 below float32's largest value
MOST_QUOTIENT = 511     # larger quotients are replaced by this one: a clamp to bytes makes them equal
MOST_NORMALIZED = 1 << 15   # elements that are normalized together: products with their number stay exact in float32


def softmax_table(x_scale: np.float32, elements: int) -> NDArray[np.float32]:
    """Returns float32[256]: entry i is the contribution of an element that is ``255 - i`` steps below the row's largest."""
    scale = float(x_scale)
    largest = np.finfo(np.float32).max / np.float32(elements)
    shift = max(0.0, float(np.float32(math.log(largest))) - _RESERVE) / scale
    return np.array([math.exp((i - (BYTE_VALUES - 1) + shift) * scale) for i in range(BYTE_VALUES)]).astype(np.float32)


def softmax_factor(y_scale: np.float32) -> int:
    """Returns the factor by which contributions are multiplied before they are divided by their sum."""
    return int(np.floor(np.float32(1) / np.float32(y_scale)))


def contributions(x: Ints, table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns each element's contribution to the softmax of its row, and the row's float32 sum in the order of elements."""
    values = table[x - x.max(axis=-1, keepdims=True) + (BYTE_VALUES - 1)]
    total = np.zeros(x.shape[:-1], np.float32)
    for element in range(x.shape[-1]):
        total = total + values[..., element]
    return values, total


def softmax(x: Ints, table: NDArray[np.float32], factor: int, zero: int, limits: tuple[int, int]) -> Ints:
    """Returns the softmax over the last axis: clamp(rne(v * factor / sum) + zero) with v from the table.

    The sum adds float32 values in the order of the elements. The quotient is rounded as if it were exact: in float64 the
    product is exact, and no quotient of 34 bits by 24 bits is so close to the middle of two integers that the rounding to
    float64 would move it there.
    """
    values, total = contributions(x, table)
    quotient = values.astype(np.float64) * factor / total[..., np.newaxis].astype(np.float64)
    return np.clip(np.rint(quotient).astype(np.int64) + zero, *limits)


def normalized(d: Ints, variance: Ints) -> Ints:
    """Returns rne(fl(fl(d) * fl(2**20 / fl(sqrt(fl(variance)))))), all in float32; ``variance`` is positive."""
    root = np.sqrt(variance.astype(np.float32))
    inverse = np.float32(1 << NORM_FRACTION) / root
    return np.rint(d.astype(np.float32) * inverse).astype(np.int64)


def deviations(x: Ints, axis: int) -> tuple[Ints, Ints]:
    """Returns D * x - sum(x) for each of the D elements along an axis, and D * sum(x**2) - sum(x)**2, never negative."""
    count, total = x.shape[axis], x.sum(axis=axis, keepdims=True)
    return count * x - total, count * (x * x).sum(axis=axis, keepdims=True) - total * total
