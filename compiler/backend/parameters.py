"""Entries of the parameter FIFO: biases and scales, or thresholds that convert the float32 sum of an average pool to a
byte."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.backend.operations import Average
from arrayloom.isa.arithmetic import encode_scales, split_float
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import SIGNIFICANT, THRESHOLDS

LARGEST_TERM = 255 << SIGNIFICANT


def channel_entries(bias: NDArray[np.int32], scale: NDArray[np.float32], slots: NDArray[np.int64], blocks: int,
                    config: Config) -> NDArray[np.uint8]:
    """Returns the entries of ``blocks`` channel blocks; ``slots`` are those of the channels, unused slots get zeros."""
    words = np.zeros((2, blocks * config.size), np.uint32)
    words[0, slots] = bias.view(np.uint32)
    words[1, slots] = encode_scales(scale)
    return _interleave(words, config.lanes)


def uniform_entries(bias: int, scale: np.float32, config: Config) -> NDArray[np.uint8]:
    """Returns the entries of one channel block whose channels all have the same bias and scale."""
    slots = np.arange(config.size)
    wrapped = np.full(config.size, bias, np.int64).astype(np.int32)
    return channel_entries(wrapped, np.full(config.size, scale, np.float32), slots, 1, config)


def threshold_entries(thresholds: NDArray[np.int64], config: Config) -> NDArray[np.uint8]:
    """Returns one entry per threshold, the same in every lane: its low half in place of the bias, its high half in place of
    the scale."""
    halves = thresholds.astype(np.int64).view(np.uint32).reshape(-1, 2)
    return np.ascontiguousarray(np.repeat(halves[:, :, None], config.lanes, 2)).view(np.uint8).ravel()


def _interleave(words: NDArray[np.uint32], lanes: int) -> NDArray[np.uint8]:
    entries = words.reshape(2, -1, lanes).transpose(1, 0, 2)
    return np.ascontiguousarray(entries).view(np.uint8).ravel()


def multiplier(operation: Average) -> int:
    """Returns the scale of the source as a 24-bit integer; the sum is in units of its last place."""
    return split_float(float(operation.x_scale))[0]


def thresholds(operation: Average, count: int) -> NDArray[np.int64]:
    """Returns int64[256]; entry i is the smallest sum, in units of the scale's last place, whose result is -128 + i or more.

    ``count`` is the number of elements that the average divides by. The result is monotonic in the sum, so bisection finds
    the thresholds, all of them at once.
    """
    limit = operation.taps.kernel[0] * operation.taps.kernel[1] * LARGEST_TERM
    low = np.full(THRESHOLDS, -limit, np.int64)
    high = np.full(THRESHOLDS, limit + 1, np.int64)
    wanted = np.arange(THRESHOLDS) - 128
    while (low < high).any():
        middle = (low + high) >> 1
        reached = average_of(operation, middle, count) >= wanted
        high = np.where(reached, middle, high)
        low = np.where(reached, low, np.minimum(middle + 1, high))
    return low


def average_of(operation: Average, total: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Returns the signed result, not clamped to a byte, for sums in units of the scale's last place."""
    exponent = split_float(float(operation.x_scale))[1]
    value = np.ldexp(total.astype(np.float64), exponent).astype(np.float32)
    shift = 128 if operation.unsigned else 0
    zero = np.float32(operation.y_zero + shift)
    shifted = value / np.float32(count) / operation.y_scale + zero
    return np.rint(np.clip(shifted, -1000, 1000)).astype(np.int64) - shift
