"""The order of groups preserves the values of every read and write."""

import numpy as np
import pytest

from arrayloom.isa.instructions import Drain, Elementwise, Store
from arrayloom.sim.plan.schedule import schedule
from arrayloom.sim.plan.works import NONE, Work

WORDS, WORKS = 24, 40
KINDS = (Drain(), Elementwise(), Store(address=0, source=0, words=1, rows=1, memory_pitch=0, chip_pitch=0))


def _work(rng: np.random.Generator, index: int) -> Work:
    pixels, terms = rng.integers(1, 4, 2)
    sources = rng.integers(0, WORDS, (pixels, terms)).astype(np.int32)
    destination = rng.choice(WORDS, pixels, replace=False).astype(np.int32)
    residual = rng.integers(0, WORDS, pixels).astype(np.int32) if rng.random() < 0.3 else NONE
    return Work((index,), KINDS[rng.integers(len(KINDS))], sources, destination, residual)


def _results(work: Work, words: np.ndarray) -> np.ndarray:
    """A value for each pixel that identifies the words read."""
    values = (words[work.sources] * np.arange(1, 1 + work.sources.shape[1])).sum(1) * 31 + work.instructions[0]
    return (values + (words[work.residual] * 7 if work.residual.size else 0)) % 1_000_003


@pytest.mark.parametrize("seed", range(50))
def test_groups_in_any_inner_order_equal_the_works_in_theirs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    works = [_work(rng, index) for index in range(WORKS)]
    wanted, got = np.arange(WORDS), np.arange(WORDS)
    for work in works:
        wanted[work.destination] = _results(work, wanted)
    order = schedule(works, WORDS)
    for group in order.groups:
        assert len({work.key for work in group.works}) == 1
        assert len(group.works) == 1 or not group.whole
        for index in rng.permutation(len(group.works)):
            work = group.works[index]
            pixels = [slice(None)] if group.whole else [slice(n, n + 1) for n in rng.permutation(len(work.destination))]
            for part in pixels:
                residual = work.residual[part] if work.residual.size else NONE
                some = Work(work.instructions, work.instruction, work.sources[part], work.destination[part], residual)
                got[some.destination] = _results(some, got)
    np.testing.assert_array_equal(got, wanted)
    assert sorted(work.instructions[0] for group in order.groups for work in group.works) == list(range(WORKS))


def test_works_on_other_words_come_together_over_what_lies_between() -> None:
    def drain(index: int, source: int, destination: int, kind: int = 0) -> Work:
        return Work((index,), KINDS[kind], np.array([[source]], np.int32), np.array([destination], np.int32))

    order = schedule([drain(0, 0, 1), drain(1, 1, 2, 1), drain(2, 0, 3), drain(3, 3, 4, 1), drain(4, 2, 5)], WORDS)
    assert [[work.instructions[0] for work in group.works] for group in order.groups] == [[0, 2], [1, 3], [4]]
    assert np.flatnonzero(order.early).tolist() == [0]
    assert np.flatnonzero(order.written).tolist() == [1, 2, 3, 4, 5]
