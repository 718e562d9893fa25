"""Instruction words near the limits of their fields: emulator and RTL refuse the same, and give the same results."""

from collections import Counter

import pytest
from random_words import WordDraw
from small_accelerators import ATTENTION, DEPTHWISE, TINY, WIDE
from word_checks import TIMINGS, check
from word_runs import program_of_words

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.build import Build

CASES, MORE_CASES = 200, 10_000


@pytest.fixture(scope="module")
def build() -> Build:
    return simulator_of(TINY)


def run(build: Build, seed: int, cases: int, config: Config = TINY) -> None:
    draw = WordDraw(config, seed)
    legal: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for index in range(cases):
        case = draw.case()
        program = program_of_words(config, case.words)
        try:
            found = check(build, program, draw.memory, draw.scratchpad, TIMINGS[index % len(TIMINGS)])
        except AssertionError as error:
            text = "; ".join(map(str, program)) if all(word & 63 for word in case.words) else ""
            raise AssertionError(f"seed {seed}, case {index}, {case.kind}: {error}\n{text}") from None
        seen[case.kind] += 1
        legal[case.kind] += found
    kinds = {cls.mnemonic() for cls in config.instructions}
    assert set(seen) == kinds
    assert all(legal[kind] > 0 for kind in kinds), legal
    assert all(legal[kind] < seen[kind] for kind in kinds), (legal, seen)


def test_words_around_the_limits(build: Build) -> None:
    run(build, 1, CASES)


@pytest.mark.parametrize("config", [DEPTHWISE, WIDE, ATTENTION], ids=lambda config: config.name)
def test_words_with_an_optional_unit(config: Config) -> None:
    run(simulator_of(config), 2, 2 * CASES, config)     # more cases, as there are more instructions


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("config", [DEPTHWISE, WIDE, ATTENTION], ids=lambda config: config.name)
def test_more_words_with_an_optional_unit(config: Config, seed: int) -> None:
    run(simulator_of(config), seed, MORE_CASES // 10, config)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_more_words_around_the_limits(build: Build, seed: int) -> None:
    run(build, seed, MORE_CASES // 10)
