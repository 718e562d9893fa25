"""Disturbed runs of random programs on the RTL end correctly.

To run many more: ``python -m random_faults --count 10000 --workers 2``, with tests/support and this folder's benches on
PYTHONPATH.
"""

import random

import pytest
from board_runs import Accelerator
from random_faults import DISTURBANCES, check, name_of
from random_faults.disturbances import nothing

RUNS = 60
BLOCK = 20      # seeds per test


@pytest.mark.parametrize("first", range(0, RUNS, BLOCK))
def test_runs_end_as_they_must(first: int) -> None:
    failures = [f"seed {seed}: {found.kind}: {found.text}" for seed in range(first, first + BLOCK) if (found := check(seed))]
    assert not failures, "\n".join(failures)


def test_all_disturbances_are_drawn() -> None:
    drawn = {name_of(seed) for seed in range(RUNS)}
    assert drawn == set(DISTURBANCES)


async def _other_memory(board: Accelerator, rng: random.Random) -> None:
    """A good run, then one byte of memory that differs from the emulator's."""
    run = board.run

    async def spoiled(cycles: int) -> object:
        stop = await run(cycles)
        board.memory[0] ^= 1
        return stop

    board.run = spoiled     # type: ignore[method-assign, assignment]
    await nothing(board, rng)


def test_a_byte_that_is_another_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DISTURBANCES:
        monkeypatch.setitem(DISTURBANCES, name, _other_memory)
    failure = check(1)
    assert failure is not None and "(board.memory == expected).all()" in failure.text
