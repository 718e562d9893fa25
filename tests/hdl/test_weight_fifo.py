"""The weight FIFO: order, room, and tiles that are only offered when complete."""

from dataclasses import replace
from typing import Any

import numpy as np
from amaranth.sim import Simulator

from arrayloom.hdl.weight_fifo import WEIGHT_LATENCY, WeightFifo
from arrayloom.isa.config import PRESETS

WORDS = 400


def test_words_in_order_by_tiles() -> None:
    config = replace(PRESETS["tiny"], weight_words=16)
    fifo = WeightFifo(config)
    generator = np.random.default_rng(3)
    words = [int(word) for word in generator.integers(1 << config.word_bits, size=WORDS)]
    found: list[int] = []

    async def testbench(ctx: Any) -> None:
        written = claimed = read = cycle = 0
        expected_at: list[int] = []
        while len(found) < WORDS:
            if cycle in expected_at:
                found.append(ctx.get(fifo.read.data))
            assert ctx.get(fifo.sink.free) == config.weight_words - (written - read)
            assert ctx.get(fifo.held) == written - read
            assert ctx.get(fifo.read.available) == (written - claimed >= config.size)
            push = written < WORDS and written - read < config.weight_words and generator.random() < 0.7
            ctx.set(fifo.sink.valid, push)
            ctx.set(fifo.sink.data, words[written] if push else 0)
            claim = bool(ctx.get(fifo.read.available)) and read == claimed and generator.random() < 0.8
            enable = claim or read < claimed
            ctx.set(fifo.read.claim, claim)
            ctx.set(fifo.read.enable, enable)
            await ctx.tick()
            written, claimed, read = written + push, claimed + config.size * claim, read + enable
            if enable:
                expected_at.append(cycle + WEIGHT_LATENCY)
            cycle += 1

    simulator = Simulator(fifo)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert found == words
