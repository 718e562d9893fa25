"""The operations of a plan that multiply by no weights: Elementwise, and the three kinds of Pool."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa import arithmetic
from arrayloom.isa.instructions import THRESHOLDS, Elementwise, Pool, PoolKind
from arrayloom.sim.emulator.post import requantize

Bytes = NDArray[np.int8]
Operation = Callable[[Bytes], Bytes]


def clamping(i: Elementwise) -> Operation:
    low, high = np.int8(i.low), np.int8(i.high)
    return lambda own: own if (low, high) == (-128, 127) else np.clip(own, low, high)


def pooling(i: Pool, entries: NDArray[np.uint32], size: int) -> Operation:
    """The operation on int8[rows, taps * size], ``entries`` being its parameters, uint32[count, 2, lanes]."""
    taps = i.taps_y * i.taps_x

    def split(gathered: Bytes) -> Bytes:
        return gathered.reshape(-1, taps, size)

    match PoolKind(i.kind):
        case PoolKind.MAXIMUM:
            return lambda gathered: np.clip(split(gathered).max(1), np.int8(i.low), np.int8(i.high))
        case PoolKind.SUM:
            return lambda gathered: requantize(split(gathered).sum(1, dtype=np.int32), entries, i)
        case PoolKind.AVERAGE:
            average = _average(i, entries)
            return lambda gathered: average(split(gathered))


def _average(i: Pool, entries: NDArray[np.uint32]) -> Operation:
    """The ordered sum in float32: a term and each partial sum is an integer of 24 significant bits, so that its addition
    rounds as ``arithmetic.average_step`` does."""
    halves = entries[:THRESHOLDS, :, 0].astype(np.int64)
    thresholds = (halves[:, 0] | halves[:, 1] << 32).view(np.int64)
    signed = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    terms = arithmetic.average_terms(signed, i.source_zero, i.multiplier).astype(np.float32)

    def average(taps: Bytes) -> Bytes:
        total = np.zeros((len(taps), taps.shape[2]), np.float32)
        for tap in range(taps.shape[1]):
            total += terms.take(taps[:, tap].view(np.uint8))
        result = arithmetic.average_result(total.astype(np.int64), thresholds)
        return np.clip(result, i.low, i.high).astype(np.int8)

    return average
