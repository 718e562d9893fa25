"""Values at the boundaries of a rounding: at both ends of what counts as a tie, and a single bit next to them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa import arithmetic
from arrayloom.isa.arithmetic import FRACTION, MIN_SHIFT, SATURATED
from arrayloom.isa.instructions import ADD_FRACTION, SIGNIFICANT

COARSE = 1 << 4         # steps of the first shifter of Requantize
DRAWN = 100_000
KINDS = ("none", "coarse", "fine")

Ints = NDArray[np.int64]


class Products(NamedTuple):
    """Sums, multipliers and shifts."""

    sums: Ints
    multipliers: Ints
    shifts: Ints


def window_of(whole: Ints) -> Ints:
    """How far from a half counts as a tie, in the last place of the fraction."""
    return np.int64(1) << arithmetic.bit_length(np.minimum(whole, SATURATED)) + FRACTION - SIGNIFICANT - 1


def products_at_windows(rng: np.random.Generator, kind: str, count: int) -> Products:
    """Products at the upper end of what counts as a tie, and a hair above it.

    ``kind``: the hair is among the bits that the coarse shift loses, among those that the fine shift does, or there is
    none.
    """
    whole = rng.integers(0, 6, DRAWN)
    shift = rng.integers(27, 47, DRAWN)
    target = (((2 * whole + 1) << FRACTION - 1) + window_of(whole)) << shift - FRACTION
    least = (target >> SIGNIFICANT) + 1
    sums = least + rng.integers(0, 1 << 62, DRAWN) % (3 * least)
    multipliers = -(-target // sums)
    beyond = multipliers * sums - target
    lost = ((shift - MIN_SHIFT) // COARSE * COARSE) - (FRACTION - MIN_SHIFT)
    coarse = beyond & (np.int64(1) << np.maximum(lost, 0)) - 1
    kinds = {"none": beyond == 0, "coarse": (coarse != 0) & (beyond == coarse), "fine": (coarse == 0) & (beyond != 0)}
    fits = (sums < 1 << SIGNIFICANT) & (multipliers < 1 << SIGNIFICANT) & (beyond >> shift - FRACTION == 0) & kinds[kind]
    chosen = np.flatnonzero(fits)[:count]
    assert len(chosen), kind
    return Products(sums[chosen], multipliers[chosen], shift[chosen])


def total_at_window(rng: np.random.Generator) -> int:
    """A positive total of a residual add at an end of what counts as a tie, or a single bit next to it."""
    whole = int(rng.integers(0, 30))
    window = int(window_of(np.array([whole]))[0]) << ADD_FRACTION - FRACTION
    beside = int(rng.choice([0, 1, -1])) << int(rng.integers(0, ADD_FRACTION))
    return max(((2 * whole + 1) << ADD_FRACTION - 1) + int(rng.choice([-1, 0, 1])) * window + beside, 0)
