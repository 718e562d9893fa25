"""Instruction words around the limits of their fields: emulator and RTL refuse the same, and leave the same of the rest."""

from collections import Counter

import pytest
from random_words import WordDraw
from word_checks import TIMINGS, check
from word_runs import program_of_words

from arrayloom.host.runtime.simulator import simulator_of
from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import BY_MNEMONIC
from arrayloom.sim.rtl.build import Build

TINY = PRESETS["tiny"]
CASES, MORE_CASES = 200, 10_000


@pytest.fixture(scope="module")
def build() -> Build:
    return simulator_of(TINY)


def run(build: Build, seed: int, cases: int) -> None:
    draw = WordDraw(TINY, seed)
    legal: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for index in range(cases):
        case = draw.case()
        program = program_of_words(TINY, case.words)
        try:
            found = check(build, program, draw.memory, draw.scratchpad, TIMINGS[index % len(TIMINGS)])
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
