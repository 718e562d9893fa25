"""Rounding of magnitudes at its boundaries: at a half, at both ends of the tie window, and one bit beyond."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from rounding_edges import KINDS, products_at_windows, window_of

from arrayloom.hdl.post.requantize import Requantize
from arrayloom.hdl.post.rounding import RoundWithTies
from arrayloom.isa import arithmetic
from arrayloom.isa.arithmetic import FRACTION, MIN_SHIFT, SATURATED
from arrayloom.isa.instructions import SIGNIFICANT

OFFSET = 3
HALF = 1 << FRACTION - 1
WHOLES = [*range(10), *(edge + step for edge in (16, 32, 64, 128, 256) for step in (-2, -1, 0, 1)), 509, 510, 511]
COUNT = 60


def _stream(unit: Any, count: int, drive: Any) -> list[int]:
    """Values in sequence, each through the unit before the next one enters."""
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


@pytest.mark.parametrize("negative", [0, 1])
@pytest.mark.parametrize("sticky", [0, 1])
def test_ties(negative: int, sticky: int) -> None:
    bits = range(10, FRACTION - 1, 3)
    far = [0, 1, (1 << FRACTION) - 1, *(HALF + (1 << bit) for bit in bits), *(HALF - 1 - (1 << bit) for bit in bits)]
    fractions = [[*far, *(HALF + side * window + beside for side in (-1, 0, 1) for beside in (-1, 0, 1))]
                 for window in map(int, window_of(np.array(WHOLES)))]
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


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_shifts_lose_decides_a_tie(kind: str) -> None:
    sums, multipliers, shifts = products_at_windows(np.random.default_rng(3), kind, COUNT)
    unit = Requantize()

    def drive(ctx: Any, index: int) -> None:
        ctx.set(unit.sum, int(sums[index]))
        ctx.set(unit.scale, int(multipliers[index] | shifts[index] << SIGNIFICANT))
        ctx.set(unit.zero_point, OFFSET)

    expected = arithmetic.requantize(sums, multipliers, shifts)
    plain = sums * multipliers >> shifts
    assert (expected == (plain + (plain & 1 if kind == "none" else 1))).all(), "these are no values that the bits decide"
    np.testing.assert_array_equal(_stream(unit, len(sums), drive), expected + OFFSET)


def test_saturation() -> None:
    """From just below 512 to far above, through either shifter."""
    wholes = [510, 511, 512, 513, 767, 1023, 1024, 1 << 13, 3 << 14, 1 << 20, (1 << 24) - 1]
    cases = np.array([(whole << shift - 23, 1 << 23, shift) for whole in wholes for shift in range(23, 47)
                      if whole << shift - 23 < 1 << 31] + [(1, (1 << 24) - 1, MIN_SHIFT), (1 << 30, 1 << 23, MIN_SHIFT)])
    sums, multipliers, shifts = cases.T
    unit = Requantize()

    def drive(ctx: Any, index: int) -> None:
        ctx.set(unit.sum, int(sums[index]))
        ctx.set(unit.scale, int(multipliers[index] | shifts[index] << SIGNIFICANT))
        ctx.set(unit.zero_point, OFFSET)

    expected = np.minimum(sums * multipliers >> shifts, SATURATED)
    np.testing.assert_array_equal(arithmetic.requantize(sums, multipliers, shifts), expected)
    np.testing.assert_array_equal(_stream(unit, len(cases), drive), expected + OFFSET)
