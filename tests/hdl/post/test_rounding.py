"""The rounding of magnitudes where it turns: at a half, at both ends of what counts as a tie, and one bit beside them."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from arrayloom.hdl.post.requantize import Requantize
from arrayloom.hdl.post.rounding import RoundWithTies
from arrayloom.isa import arithmetic
from arrayloom.isa.arithmetic import FRACTION, MIN_SHIFT, SATURATED
from arrayloom.isa.instructions import SIGNIFICANT

OFFSET = 3
HALF = 1 << FRACTION - 1
WHOLES = [*range(10), *(edge + step for edge in (16, 32, 64, 128, 256) for step in (-2, -1, 0, 1)), 509, 510, 511]
COARSE = 1 << 4         # steps of the first shifter of Requantize
DRAWN = 400_000


def _stream(unit: Any, count: int, drive: Any) -> list[int]:
    """Values one after the other, each let through before the next comes."""
    results: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(unit.enables, (1 << unit.LATENCY) - 1)
        for index in range(count):
            drive(ctx, index)
            await ctx.tick().repeat(unit.LATENCY)
            results.append(ctx.get(unit.result))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def _window(whole: NDArray[np.int64]) -> NDArray[np.int64]:
    """How far from a half counts as a tie."""
    return np.int64(1) << arithmetic.bit_length(np.minimum(whole, SATURATED)) + FRACTION - SIGNIFICANT - 1


@pytest.mark.parametrize("negative", [0, 1])
@pytest.mark.parametrize("sticky", [0, 1])
def test_ties(negative: int, sticky: int) -> None:
    far = [HALF + side * (1 << bit) for bit in range(10, FRACTION - 1, 3) for side in (-1, 1)]
    fractions = [[0, 1, (1 << FRACTION) - 1, *far, *(HALF + side * window + beside for side in (-1, 0, 1) for beside in (-1, 0, 1))]
                 for window in map(int, _window(np.array(WHOLES)))]
    values = [(whole, fraction) for whole, row in zip(WHOLES, fractions, strict=True) for fraction in row]
    unit = RoundWithTies()

    def drive(ctx: Any, index: int) -> None:
        ctx.set(unit.whole, values[index][0])
        ctx.set(unit.fraction, values[index][1])
        ctx.set(unit.sticky, sticky)
        ctx.set(unit.negative, negative)
        ctx.set(unit.offset, OFFSET)

    exact = np.array([whole << FRACTION | fraction for whole, fraction in values])
    rounded = arithmetic.round_with_ties(exact, np.full(len(values), bool(sticky)))
    np.testing.assert_array_equal(_stream(unit, len(values), drive), (-rounded if negative else rounded) + OFFSET)


def _products_at_windows(kind: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sums, multipliers and shifts whose products lie at the upper end of what counts as a tie, and a hair above it.

    ``kind``: the hair is among the bits that the coarse shift loses, among those that the fine shift does, or there is
    none.
    """
    rng = np.random.default_rng(3)
    whole = rng.integers(0, 6, DRAWN)
    shift = rng.integers(27, 47, DRAWN)
    target = (((2 * whole + 1) << FRACTION - 1) + _window(whole)) << shift - FRACTION
    least = (target >> SIGNIFICANT) + 1
    sums = least + rng.integers(0, 1 << 62, DRAWN) % (3 * least)
    multipliers = -(-target // sums)
    beyond = multipliers * sums - target
    lost = ((shift - MIN_SHIFT) // COARSE * COARSE) - (FRACTION - MIN_SHIFT)
    coarse = beyond & (np.int64(1) << np.maximum(lost, 0)) - 1
    kinds = {"none": beyond == 0, "coarse": (coarse != 0) & (beyond == coarse), "fine": (coarse == 0) & (beyond != 0)}
    fits = (sums < 1 << SIGNIFICANT) & (multipliers < 1 << SIGNIFICANT) & (beyond >> shift - FRACTION == 0) & kinds[kind]
    chosen = np.flatnonzero(fits)[:60]
    assert len(chosen) >= 20, kind
    return sums[chosen], multipliers[chosen], shift[chosen]


@pytest.mark.parametrize("kind", ["none", "coarse", "fine"])
def test_what_the_shifts_lose_decides_a_tie(kind: str) -> None:
    sums, multipliers, shifts = _products_at_windows(kind)
    unit = Requantize()

    def drive(ctx: Any, index: int) -> None:
        ctx.set(unit.sum, int(sums[index]))
        ctx.set(unit.scale, int(multipliers[index] | shifts[index] << SIGNIFICANT))
        ctx.set(unit.zero_point, OFFSET)

    expected = arithmetic.requantize(sums, multipliers, shifts)
    plain = sums * multipliers >> shifts
    assert (expected == (plain + (plain & 1 if kind == "none" else 1))).all(), "these are no values that the bits decide"
    np.testing.assert_array_equal(_stream(unit, len(sums), drive), expected + OFFSET)
