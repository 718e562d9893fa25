"""The scratchpad: banks, priorities, latency, and agreement with a plain array of words."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const
from amaranth.sim import Simulator

from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of
from arrayloom.hdl.scratchpad import READERS, WRITERS, Scratchpad
from arrayloom.isa.config import PRESETS, Config

CYCLES = 2000


def small(banks: int) -> Config:
    return replace(PRESETS["tiny"], activation_banks=banks, activation_bytes=4 * 256)


def simulate(memory: Scratchpad, testbench: Callable[[Any], Any]) -> None:
    simulator = Simulator(memory)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def bank_numbers(config: Config) -> list[int]:
    """The bank of each address, as the hardware computes it."""
    numbers: list[int] = []

    async def testbench(ctx: Any) -> None:
        numbers.extend(ctx.get(bank_of(Const(address, 8), config))
                       for address in range(config.activation_words))
    simulate(Scratchpad(config), testbench)
    return numbers


@pytest.mark.parametrize("banks", [2, 4, 8])
@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16])
def test_strides_spread_over_banks(banks: int, stride: int) -> None:
    numbers = bank_numbers(small(banks))
    assert set(numbers[::stride]) == set(range(banks))
    assert len({(bank, address // banks) for address, bank in enumerate(numbers)}) == len(numbers)


@pytest.mark.parametrize("banks", [2, 4, 8])
def test_random_traffic(banks: int) -> None:
    """All five ports at once: every accepted read returns the last write, and the priorities hold."""
    config = small(banks)
    memory = Scratchpad(config)
    numbers = bank_numbers(config)
    generator = np.random.default_rng(banks)
    words = [0] * config.activation_words
    due: list[tuple[int, str, int]] = []
    accepted = dict.fromkeys(READERS + WRITERS, 0)

    async def testbench(ctx: Any) -> None:
        for cycle in range(CYCLES):
            for name, value in [item[1:] for item in due if item[0] == cycle]:
                assert ctx.get(getattr(memory, name).data) == value
            requests = {}
            for name in READERS + WRITERS:
                port = getattr(memory, name)
                read = {requests[reader][1] for reader in READERS if name in WRITERS}
                address = int(generator.choice([word for word in range(config.activation_words) if word not in read]))
                requests[name] = (bool(generator.integers(2)), address)
                ctx.set(port.valid, requests[name][0])
                ctx.set(port.address, requests[name][1])
                ctx.set(port.bank, numbers[requests[name][1]])
                if name in WRITERS:
                    ctx.set(port.data, int(generator.integers(1 << config.word_bits)))
            for group in (READERS, WRITERS):
                taken: set[int] = set()
                for name in group:
                    valid, address = requests[name]
                    bank = numbers[address]
                    assert ctx.get(getattr(memory, name).ready) == (bank not in taken)
                    if valid and bank not in taken:
                        accepted[name] += 1
                        if group is READERS:
                            due.append((cycle + MEMORY_LATENCY, name, words[address]))
                    if valid:
                        taken.add(bank)
            for name in WRITERS:
                port = getattr(memory, name)
                if requests[name][0] and ctx.get(port.ready):
                    words[requests[name][1]] = ctx.get(port.data)
            await ctx.tick()
    simulate(memory, testbench)
    assert min(accepted.values()) > CYCLES // 10
