"""The state of the accumulator banks compared with a model: which banks are full, and their numbers of pixels."""

import random
from collections import deque
from typing import Any

import pytest

from arrayloom.hdl.array.banks import AccumulatorBanks
from arrayloom.isa.config import ACCUMULATOR_BANKS, PRESETS

CYCLES = 600


@pytest.mark.parametrize("seed", range(3))
def test_banks(bench: Any, seed: int) -> None:
    rng, banks = random.Random(seed), AccumulatorBanks(PRESETS["tiny"])
    done: list[int] = []

    async def play(ctx: Any) -> None:
        taken, ended, written = 0, deque[int](), 0      # since the last release, in order
        drained = 0
        for _ in range(CYCLES):
            assert ctx.get(banks.used) == taken and ctx.get(banks.full) == written
            assert ctx.get(banks.free) == (taken < ACCUMULATOR_BANKS) and ctx.get(banks.available) == (written > 0)
            assert ctx.get(banks.last) == (ended[0] if ended else 0)
            assert ctx.get(banks.drain) == drained % 2
            takes = taken < ACCUMULATOR_BANKS and rng.random() < 0.4
            ends = len(ended) < taken and rng.random() < 0.4
            writes = written < len(ended) and rng.random() < 0.5
            releases = written > 0 and rng.random() < 0.3
            position = rng.randrange(PRESETS["tiny"].accumulator_depth)
            for signal, value in ((banks.taken, takes), (banks.ended, ends), (banks.written, writes),
                                  (banks.release, releases), (banks.position, position)):
                ctx.set(signal, value)
            await ctx.tick()
            taken, written = taken + takes - releases, written + writes - releases
            if ends:
                ended.append(position)
            if releases:
                ended.popleft()
            drained += releases
        done.append(1)

    bench.run(banks, [play], lambda: bool(done))
