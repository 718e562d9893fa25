"""Every pair of units passes a token, both when the consumer waits for it and when it is already there."""

from itertools import permutations

import numpy as np
import pytest
from word_runs import CODE, DATA, MEMORY_BYTES, WATCHDOG, program_of_words, run_on_emulator

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.instructions import (
    Convolve,
    Drain,
    Elementwise,
    End,
    LoadActivations,
    LoadParameters,
    LoadWeights,
    Store,
)
from arrayloom.isa.registers import Block, Cause, Register, StatusWord, counter_address
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop

TINY = PRESETS["tiny"]
LONG = {Unit.LOAD: 4000, Unit.ARRAY: 100, Unit.POST: 60, Unit.STORE: 4000}
"""Words, taps or rows that take a unit longer than the others take for a short instruction."""


def work(unit: Unit, size: int, tokens: dict[str, int]) -> Instruction:
    """An instruction of the unit, longer for larger sizes; no two units access the same words."""
    if unit is Unit.LOAD:
        return LoadActivations(address=0, destination=0, words=size, rows=1, **tokens)
    if unit is Unit.STORE:
        return Store(address=DATA + (1 << 15), source=5000, words=size, rows=1, **tokens)
    if unit is Unit.POST:
        return Elementwise(height=size, width=60, source=10000, source_pitch=0, destination=12000, destination_pitch=60,
                           **tokens)
    return Convolve(height=8, width=8, source=9000, row_pitch=8, source_height=8, source_width=8, taps_y=size, first=1,
                    last=1, **tokens)


def program(producer: Unit, consumer: Unit, delayed: bool) -> list[Instruction]:
    give, take = {"signal": 1 << consumer}, {"wait": 1 << producer}
    if delayed:
        body = [work(producer, LONG[producer], give), work(consumer, 1, take)]
    else:
        body = [work(producer, 1, give), work(consumer, LONG[consumer], {}), work(consumer, 1, take)]
    convolutions = [one for one in body if isinstance(one, Convolve)]
    before: list[Instruction] = [LoadWeights(address=0, words=one.tiles * TINY.size) for one in convolutions]
    before += [LoadParameters(address=DATA, entries=TINY.groups) for _ in convolutions]
    drains = [Drain(height=8, width=8, destination=16000, destination_pitch=8, release_parameters=1) for _ in convolutions]
    return [*before, *body, *drains, End()]


@pytest.mark.parametrize("delayed", [True, False], ids=["waited for", "there already"])
@pytest.mark.parametrize(("producer", "consumer"), list(permutations(CORE_UNITS, 2)), ids=lambda unit: unit.name)
def test_a_token_is_taken(producer: Unit, consumer: Unit, delayed: bool) -> None:
    words = [int.from_bytes(one.encode(), "little") for one in program(producer, consumer, delayed)]
    made = program_of_words(TINY, words)
    memory = np.zeros(MEMORY_BYTES, np.uint8)
    expected = run_on_emulator(TINY, made, memory, np.zeros((TINY.activation_words, TINY.size), np.int8))
    assert expected.refusal == ""
    memory[CODE:CODE + made.instructions.size] = made.instructions
    driver = RtlDriver(simulator_of(TINY), made, memory, Timing())
    try:
        driver.simulator.write_scratchpad(np.zeros((TINY.activation_words, TINY.size), np.int8))
        driver.simulator.write_register(Register.WATCHDOG, WATCHDOG)
        driver.start()
        assert driver.simulator.run(100_000) is Stop.IRQ
        assert StatusWord.decode(driver.read(Register.STATUS)).done
        waited = driver.read_64(counter_address(Block(int(consumer)), Cause.TOKEN))
    finally:
        driver.close()
    assert (waited > 0) == delayed, waited
    np.testing.assert_array_equal(memory, expected.memory)


@pytest.mark.parametrize("tokens", [{"wait": 1 << Unit.LOAD}, {"signal": 1 << Unit.STORE}])
def test_the_end_of_a_program_has_no_tokens(tokens: dict[str, int]) -> None:
    made = program_of_words(TINY, [int.from_bytes(End(**tokens).encode(), "little")])
    scratchpad = np.zeros((TINY.activation_words, TINY.size), np.int8)
    left = run_on_emulator(TINY, made, np.zeros(MEMORY_BYTES, np.uint8), scratchpad)
    assert "end): it waits for or gives tokens" in left.refusal
