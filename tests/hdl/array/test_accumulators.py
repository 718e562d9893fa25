"""The accumulators with the shortest distance between steps, and the rule that ensures this distance."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from arrayloom.hdl.array.accumulators import AccumulatorGroup
from arrayloom.hdl.array.timing import SUM_HELD, SUM_READ, UPDATE, Timing
from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.isa.config import PRESETS, Config

BANKS_FILLED, STEPS = 3, 4


@pytest.mark.parametrize("pixels", [UPDATE, 8])
def test_adds_what_was_written_just_before(config_of: Callable[..., Config], pixels: int) -> None:
    config = config_of(4, 2, 2)
    group = AccumulatorGroup(config)
    sums = np.random.default_rng(5).integers(-2**20, 2**20, (BANKS_FILLED, STEPS, pixels, config.column_stage))

    async def fill(ctx: Any) -> None:
        for _, step, pixel in product(range(BANKS_FILLED), range(STEPS), range(pixels)):
            ctx.set(group.pixel.valid, 1)
            ctx.set(group.pixel.start, pixel == 0)
            ctx.set(group.pixel.fresh, step == 0)
            ctx.set(group.pixel.done, step == STEPS - 1 and pixel == pixels - 1)
            await ctx.tick()
        ctx.set(group.pixel.valid, 0)

    async def add(ctx: Any) -> None:
        await ctx.tick().repeat(SUM_READ + SUM_HELD)
        for values in sums.reshape(-1, config.column_stage):
            for column, value in enumerate(values):
                ctx.set(group.sums[column], int(value))
            await ctx.tick()

    async def drain(ctx: Any) -> None:
        for bank in range(BANKS_FILLED):
            while not ctx.get(group.written):
                await ctx.tick()
            await ctx.tick()
            for pixel in range(pixels):
                ctx.set(group.enable, 1)
                ctx.set(group.bank, bank % 2)
                ctx.set(group.address, pixel)
                await ctx.tick()
                ctx.set(group.enable, 0)
                await ctx.tick().repeat(MEMORY_LATENCY - 1)
                found = [ctx.get(group.data[column]) for column in range(config.column_stage)]
                assert found == sums[bank, :, pixel].sum(axis=0).tolist()

    simulator = Simulator(group)
    simulator.add_clock(1e-8)
    for testbench in (fill, add, drain):
        simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("size", [4, 8, 16, 32, 64, 128])
def test_no_step_is_too_short(config_of: Callable[..., Config], size: int) -> None:
    """Steps are at least ``reload + ready`` cycles apart, and at most ``size`` while weights are available."""
    for row_stage in (2**bit for bit in range(size.bit_length())):
        timing = Timing(config_of(size, row_stage, size))
        assert UPDATE <= timing.reload + timing.ready <= size


@pytest.mark.parametrize("name", PRESETS)
def test_presets_keep_the_distance(name: str) -> None:
    timing = Timing(PRESETS[name])
    assert UPDATE <= timing.reload + timing.ready <= PRESETS[name].size
