"""Flow control: the elastic buffer keeps order and rate; the counts equal a model's."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from arrayloom.hdl.flow_control import Elastic, room_for, stock_of

DEPTH = 3
CYCLES = 300


def _simulate(design: Any, testbench: Callable[[Any], Any]) -> None:
    simulator = Simulator(design)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize(("enters", "leaves"), [(1.0, 1.0), (0.5, 0.9), (0.9, 0.5)])
def test_elastic_keeps_order(enters: float, leaves: float) -> None:
    buffer, rng = Elastic(16), random.Random(1)
    sent, found = list(range(1, CYCLES)), []

    async def testbench(ctx: Any) -> None:
        number = 0
        for _ in range(CYCLES):
            valid = rng.random() < enters and number < len(sent)
            ctx.set(buffer.enter.valid, valid)
            ctx.set(buffer.enter.payload, sent[number] if valid else 0)
            ctx.set(buffer.leave.ready, rng.random() < leaves)
            if ctx.get(buffer.leave.valid) and ctx.get(buffer.leave.ready):
                found.append(ctx.get(buffer.leave.payload))
            number += valid and ctx.get(buffer.enter.ready)
            await ctx.tick()

    _simulate(buffer, testbench)
    assert found == sent[:len(found)]
    assert len(found) > min(enters, leaves) * CYCLES * 0.8
    if enters == leaves == 1:
        assert len(found) == CYCLES - 1     # a word in every cycle, the first one cycle late


def test_counts_equal_a_model() -> None:
    m, more, less, rng = Module(), Signal(), Signal(), random.Random(2)
    room = room_for(m, DEPTH, more, less)
    stock = stock_of(m, "words", DEPTH, more, less)
    levels = set()

    async def testbench(ctx: Any) -> None:
        level = 0
        for _ in range(CYCLES):
            levels.add(level)
            assert (ctx.get(room), ctx.get(stock)) == (level < DEPTH, level > 0)
            enters, leaves = level < DEPTH and rng.random() < 0.5, level > 0 and rng.random() < 0.5
            ctx.set(more, enters)
            ctx.set(less, leaves)
            level += enters - leaves
            await ctx.tick()

    _simulate(m, testbench)
    assert levels == set(range(DEPTH + 1))


def test_depth_is_checked(refuses: Any) -> None:
    refuses(lambda: room_for(Module(), 0, Signal(), Signal()), "depth = 0: must be at least 1 word")
    refuses(lambda: stock_of(Module(), "words", -1, Signal(), Signal()), "depth = -1: must be at least 1 word")
