"""Counters of causes, including values beyond any simulated run: their memory is set from outside."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from arrayloom.hdl.counters import CauseCounters
from arrayloom.isa.registers import CYCLE_BITS, Cause

RANDOM = [random.Random(5).randrange(1 << CYCLE_BITS) for _ in range(10)]
BEFORE = [*((1 << bits) - 1 for bits in range(1, CYCLE_BITS)), *(1 << bit for bit in range(CYCLE_BITS)), *RANDOM]


class Open(CauseCounters):
    """Counters with a memory that can be set."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        self.memory = m.submodules.memory
        return m


@pytest.mark.parametrize("cause", [Cause.COMPUTING, Cause.OVERHEAD])
def test_every_bit_counts(cause: Cause) -> None:
    counters = Open()

    async def testbench(ctx: Any) -> None:
        async def count(number: int) -> None:
            ctx.set(counters.enable, 1)
            await ctx.tick().repeat(number)
            ctx.set(counters.enable, 0)
            await ctx.tick().repeat(2)

        ctx.set(counters.cause, cause)
        ctx.set(counters.select, cause)
        assert not ctx.get(counters.counted)
        await count(1)
        for before in BEFORE:
            ctx.set(counters.memory.data[cause], before)
            await count(2)
            assert ctx.get(counters.counted) and ctx.get(counters.value) == (before + 2) % (1 << CYCLE_BITS)

    simulator = Simulator(counters)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
