"""One lane's arithmetic compared with ``arrayloom.isa.arithmetic``: ties, saturation and all between, with pauses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.lib.wiring import Component
from amaranth.sim import Simulator

from arrayloom.hdl.post.requantize import Requantize
from arrayloom.hdl.post.residual import ResidualAdd
from arrayloom.isa import arithmetic

INT32 = 1 << 31


Drive = Callable[[Any, int], None]


def stream(unit: Component, count: int, drive: Drive, late: Drive | None = None, late_by: int = 0) -> list[int]:
    """Sends values 0 to count-1 through a lane with random pauses; returns the results in order."""
    rng = np.random.default_rng(0)
    results: list[int] = []

    async def bench(ctx) -> None:
        stages: list[int | None] = [None] * (unit.LATENCY + 1)
        sent = 0
        while len(results) < count:
            stages = [None, *stages[:-1]]
            if sent < count and rng.random() < 0.9:
                stages[0], sent = sent, sent + 1
                drive(ctx, stages[0])
            if late and stages[late_by] is not None:
                late(ctx, stages[late_by])
            if stages[-1] is not None:
                results.append(ctx.get(unit.result))
            ctx.set(unit.enables, sum(1 << i for i, item in enumerate(stages[:-1]) if item is not None))
            await ctx.tick()

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def _scales(rng: np.random.Generator, count: int) -> np.ndarray:
    powers = np.exp2(rng.integers(-34, 9, count))
    return np.choose(rng.integers(0, 3, count), [
        np.exp2(rng.uniform(-34, 9, count)), powers, powers * (1 + 2.0**-23)]).astype(np.float32)


def test_requantize() -> None:
    rng, count = np.random.default_rng(1), 8000
    scales = _scales(rng, count)
    target = rng.integers(-520, 520, count) + rng.choice([0.0, 0.5], count)
    near = np.rint(target / scales.astype(np.float64)) + rng.integers(-2, 3, count)
    anything = rng.integers(-INT32, INT32, count)
    wanted = np.clip(np.where(rng.random(count) < 0.8, near, anything), -INT32, INT32 - 1).astype(np.int64)
    wanted[:2], scales[:2] = (-INT32, INT32 - 1), 2.0**-31
    bias = rng.integers(-INT32, INT32, count)
    sums = (wanted - bias + INT32) % (2 * INT32) - INT32
    encoded = [arithmetic.encode_scale(scale) for scale in scales]

    def drive(ctx, i: int) -> None:
        ctx.set(unit.zero_point, -7)
        ctx.set(unit.sum, int(sums[i]))
        ctx.set(unit.bias, int(bias[i]))

    def late(ctx, i: int) -> None:
        ctx.set(unit.scale, encoded[i].word)

    unit = Requantize()
    multiplier, shift = np.array([(scale.multiplier, scale.shift) for scale in encoded]).T
    expected = arithmetic.requantize(wanted, multiplier, shift) - 7
    np.testing.assert_array_equal(stream(unit, count, drive, late, Requantize.SCALE_AT), expected)


@pytest.mark.parametrize("draw", range(6))
def test_residual_add(draw: int) -> None:
    rng, count = np.random.default_rng(draw), 1500
    unsigned, swap = draw % 2, draw % 3 == 1
    sa, sb, sc = (np.exp2(rng.uniform(-5, 0, 3)) if draw < 3 else np.exp2(rng.integers(-3, 0, 3))).astype(np.float32)
    za, zb, zc = rng.integers(0, 256, 3) - 128 * (1 - unsigned)
    constants = arithmetic.encode_add(sa / sc, sb / sc, np.float32(zc - sa / sc * za - sb / sc * zb))
    low, high = (-128, 127) if draw else (-50, 60)
    shift = 128 * unsigned
    own, other = rng.integers(-128, 128, (2, count))
    a, b = (other, own) if swap else (own, other)
    expected = np.clip(arithmetic.residual_add(a + shift, b + shift, *constants) - shift, low, high)
    unit = ResidualAdd()

    def drive(ctx, i: int) -> None:
        if i == 0:
            ctx.set(unit.operands, {"swap": int(swap), "a_offset": shift, "b_offset": shift})
            ctx.set(unit.ratio_a.ratio_a, constants[0])
            ctx.set(unit.ratio_b.ratio_b, constants[1])
            ctx.set(unit.add_offset.add_offset, constants[2])
            ctx.set(unit.sum_offset.sum_offset, -shift)
            ctx.set(unit.sum_clamp, {"add_low": low, "add_high": high})
        ctx.set(unit.own, int(own[i]))
        ctx.set(unit.other, int(other[i]))

    np.testing.assert_array_equal(stream(unit, count, drive), expected)


@pytest.mark.parametrize("draw", range(4))
def test_product(draw: int) -> None:
    """The product of both operands is scaled; a zero point is added before the result is rounded."""
    rng, count = np.random.default_rng(draw), 1500
    scale = np.float32(np.exp2(rng.uniform(-9, -6)) if draw < 2 else 2.0**-8)
    zeros, shift = rng.integers(0, 256, 3), 128
    constants = arithmetic.encode_product(scale)
    own, other = rng.integers(-128, 128, (2, count))
    product = (own + shift - zeros[0]) * (other + shift - zeros[1])
    total = arithmetic.residual_add(np.full(count, zeros[2]), product, *constants, 0)
    rounded = np.rint((product.astype(np.float32) * scale + np.float32(zeros[2])).astype(np.float32))
    expected = np.clip(total - shift, -128, 127)
    np.testing.assert_array_equal(expected, np.clip(rounded - shift, -128, 127))
    unit = ResidualAdd()

    def drive(ctx, i: int) -> None:
        if i == 0:
            ctx.set(unit.operands, {"swap": 0, "a_offset": int(shift - zeros[0]), "b_offset": int(shift - zeros[1])})
            ctx.set(unit.factors, {"multiply": 1, "product_zero": int(zeros[2])})
            ctx.set(unit.ratio_a.ratio_a, constants[0])
            ctx.set(unit.ratio_b.ratio_b, constants[1])
            ctx.set(unit.sum_offset.sum_offset, -shift)
            ctx.set(unit.sum_clamp, {"add_low": -128, "add_high": 127})
        ctx.set(unit.own, int(own[i]))
        ctx.set(unit.other, int(other[i]))

    np.testing.assert_array_equal(stream(unit, count, drive), expected)
