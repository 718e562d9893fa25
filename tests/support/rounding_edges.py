"""Values at which rounding changes: both ends of the window that counts as a tie, and one bit beyond."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa import arithmetic
from arrayloom.isa.arithmetic import FRACTION, MIN_SHIFT, SATURATED
from arrayloom.isa.instructions import ADD_FRACTION, SIGNIFICANT

COARSE = 1 << 4         # shift of the first, coarse shifter of Requantize
DRAWN = 100_000
KINDS = ("none", "coarse", "fine")

Ints = NDArray[np.int64]


class Products(NamedTuple):
    """Sums, multipliers and shifts."""

    sums: Ints
    multipliers: Ints
    shifts: Ints


def window_of(whole: Ints) -> Ints:
    """The largest distance from a half that counts as a tie, in units of the fraction's last place."""
    return np.int64(1) << arithmetic.bit_length(np.minimum(whole, SATURATED)) + FRACTION - SIGNIFICANT - 1


def products_at_windows(rng: np.random.Generator, kind: str, count: int) -> Products:
    """Products at the upper end of the tie window, and just above it.

    ``kind``: whether the excess is in the bits lost by the coarse shift, in those lost by the fine shift, or absent.
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
    """A positive total of a residual add at an end of the tie window, or one bit beyond."""
    whole = int(rng.integers(0, 30))
    window = int(window_of(np.array([whole]))[0]) << ADD_FRACTION - FRACTION
    beside = int(rng.choice([0, 1, -1])) << int(rng.integers(0, ADD_FRACTION))
    return max(((2 * whole + 1) << ADD_FRACTION - 1) + int(rng.choice([-1, 0, 1])) * window + beside, 0)
