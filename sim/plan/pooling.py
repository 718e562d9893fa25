"""The operations of a plan without weights: Elementwise, and the three kinds of Pool."""

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa import arithmetic
from arrayloom.isa.instructions import BYTE_VALUES, Elementwise, Pool, PoolKind
from arrayloom.sim.emulator.post import requantize, thresholds_of
from arrayloom.sim.plan.steps import Bytes, Operation


def clamping(i: Elementwise) -> Operation:
    low, high = np.int8(i.low), np.int8(i.high)
    return lambda own: np.clip(own, low, high, out=own)


def pooling(i: Pool, entries: NDArray[np.uint32], size: int) -> Operation:
    """The operation on int8[images, taps, pixels * size]; ``entries``: its parameters, uint32[count, 2, lanes]."""
    match PoolKind(i.kind):
        case PoolKind.MAXIMUM:
            return lambda taps: np.clip(taps.max(1), np.int8(i.low), np.int8(i.high))
        case PoolKind.SUM:
            return lambda taps: requantize(taps.sum(1, dtype=np.int32).reshape(-1, size), entries, i)
        case PoolKind.AVERAGE:
            return _average(i, entries)


def _average(i: Pool, entries: NDArray[np.uint32]) -> Operation:
    """The ordered sum in float32: terms and partial sums are integers of 24 significant bits, so additions
    round as in ``arithmetic.average_step``."""
    thresholds = thresholds_of(entries)
    signed = np.arange(BYTE_VALUES, dtype=np.uint8).view(np.int8).astype(np.int64)
    terms = arithmetic.average_terms(signed, i.source_zero, i.multiplier).astype(np.float32)

    def average(taps: Bytes) -> Bytes:
        total = np.zeros((len(taps), taps.shape[2]), np.float32)
        for tap in range(taps.shape[1]):
            total += terms.take(taps[:, tap].view(np.uint8))
        result = arithmetic.average_result(total.astype(np.int64), thresholds)
        return np.clip(result, i.low, i.high).astype(np.int8)

    return average
