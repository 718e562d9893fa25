"""Instruction words around the limits of their fields: emulator and RTL refuse the same, and leave the same of the rest."""

import re
from collections import Counter

import numpy as np
import pytest
from random_words import Case, WordDraw
from word_runs import Left, program_of_words, run_on_emulator, run_on_rtl

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import BY_MNEMONIC
from arrayloom.isa.registers import Error
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.simulator import Timing

TINY = PRESETS["tiny"]
CASES, MORE_CASES = 200, 10_000
OTHER_ERRORS = {
    "left over": {Error.DATA_LEFT, Error.TOKENS_LEFT},
    "not whole words inside": {Error.READ_OUTSIDE, Error.WRITE_OUTSIDE},
    "no full accumulator bank|while none is empty|the weight FIFO lacks|entries needed": {Error.WATCHDOG},
}
"""What the RTL may report instead of an illegal instruction, by what the emulator says."""


@pytest.fixture(scope="module")
def build() -> Build:
    return simulator_of(TINY)


TIMINGS = [Timing(), Timing(latency=1, outstanding=1), Timing(7, 3, 2, 40, 5)]


def check(build: Build, draw: WordDraw, case: Case, timing: Timing) -> bool:
    """Compares both; whether the program is legal."""
    program = program_of_words(TINY, case.words)
    emulated = run_on_emulator(TINY, program, draw.memory, draw.scratchpad)
    simulated = run_on_rtl(build, program, draw.memory, draw.scratchpad, timing)
    assert bool(emulated.refusal) == bool(simulated.refusal), (
        f"emulator: {emulated.refusal or 'runs'}; RTL: {simulated.refusal or 'runs'}")
    assert (simulated.addresses < TINY.activation_words).all(), "POST writes beyond the scratchpad"
    if not emulated.refusal:
        _equal(emulated, simulated)
        return True
    others = (errors for text, errors in OTHER_ERRORS.items() if re.search(text, emulated.refusal))
    assert simulated.error in {Error.ILLEGAL_INSTRUCTION}.union(*others), f"{emulated.refusal}; RTL: {simulated.refusal}"
    return False


def _equal(emulated: Left, simulated: Left) -> None:
    for name in ("addresses", "words", "scratchpad", "memory"):
        np.testing.assert_array_equal(getattr(simulated, name), getattr(emulated, name), err_msg=name)


def run(build: Build, seed: int, cases: int) -> None:
    draw = WordDraw(TINY, seed)
    legal: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for index in range(cases):
        case = draw.case()
        program = program_of_words(TINY, case.words)
        try:
            found = check(build, draw, case, TIMINGS[index % len(TIMINGS)])
        except AssertionError as error:
            text = "; ".join(map(str, program)) if all(word & 63 for word in case.words) else ""
            raise AssertionError(f"seed {seed}, case {index}, {case.kind}: {error}\n{text}") from None
        seen[case.kind] += 1
        legal[case.kind] += found
    kinds = set(BY_MNEMONIC)
    assert set(seen) == kinds
    assert all(legal[kind] > 0 for kind in kinds), legal
    assert all(legal[kind] < seen[kind] for kind in kinds), (legal, seen)


def test_words_around_the_limits(build: Build) -> None:
    run(build, 1, CASES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_more_words_around_the_limits(build: Build, seed: int) -> None:
    run(build, seed, MORE_CASES // 10)
