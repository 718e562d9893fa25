"""What a mutant runs through: the bodies of the tests of the whole accelerator, cheap and effective ones first.

Each is called with a build and raises when what it sees is not as it must be, as the test does.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from arrayloom.isa.config import PRESETS
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.simulator import RtlSimulator, Timing
from benchmarks.mutation.graphs import run_graph

TESTS = Path(__file__).resolve().parents[2] / "tests"
SUPPORT = ("support", "end_to_end", "sim/cocotb/benches")     # folders of modules that tests share
TINY = PRESETS["tiny"]
BASE = 0x31_2345_6000
TIMINGS = {"default": Timing(), "stalling": Timing(latency=3, outstanding=2, stall_percent=40, seed=5),
           "slow": Timing(latency=200, beat_interval=3)}
WORDS, BLOCK = 200, 20
ARITHMETIC = 8
DISTURBANCES, BREACHES, GRAPHS = 60, 200, 50


@dataclass(frozen=True)
class Stimulus:
    """``run`` raises for a build that is not as it must be; ``early``: before it is asked which faults change nothing."""

    name: str
    run: Callable[[Build], None]
    early: bool


def use_test_support() -> None:
    """Makes the modules that tests share importable."""
    for folder in SUPPORT:
        if (path := str(TESTS / folder)) not in sys.path:
            sys.path.append(path)


@cache
def stimuli() -> tuple[Stimulus, ...]:
    """All stimuli, in the order in which they run."""
    use_test_support()
    return (*_programs(), *_arithmetic(), *_words(), *_checks("default"), *_graphs(), *_disturbances(), *_breaches(),
            *_checks("stalling"), *_checks("slow"))


def _programs() -> Iterator[Stimulus]:
    from board_programs import Mixed
    from board_runs import check_program

    for seed in range(20, 23):
        for name in TIMINGS:
            yield Stimulus(f"program {seed}, {name}", _on_board(
                lambda board, seed=seed: check_program(board, Mixed(TINY, seed, 2).program), TIMINGS[name]), early=True)


def _arithmetic() -> Iterator[Stimulus]:
    from board_arithmetic import Arithmetic
    from board_checks import held
    from board_runs import check_program

    for seed in range(ARITHMETIC):
        yield Stimulus(f"arithmetic {seed}", _on_board(
            lambda board, seed=seed: check_program(board, Arithmetic(TINY, seed).program), Timing()), early=True)
    yield Stimulus("held, default", _on_board(held, Timing()), early=True)


def _words() -> Iterator[Stimulus]:
    for block in range(WORDS // BLOCK):
        yield Stimulus(f"words {BLOCK * block} to {BLOCK * block + BLOCK - 1}",
                       lambda build, block=block: _run_words(build, block), early=block < 2)


def _run_words(build: Build, block: int) -> None:
    from word_checks import TIMINGS as WORD_TIMINGS
    from word_checks import check
    from word_runs import program_of_words

    draw, cases = _drawn()
    for index in range(BLOCK * block, BLOCK * block + BLOCK):
        program = program_of_words(TINY, cases[index].words)
        check(build, program, draw.memory, draw.scratchpad, WORD_TIMINGS[index % len(WORD_TIMINGS)])


@cache
def _drawn() -> tuple[Any, list[Any]]:
    from random_words import WordDraw

    draw = WordDraw(TINY, 1)
    return draw, [draw.case() for _ in range(WORDS)]


def _checks(timing: str) -> Iterator[Stimulus]:
    from board_checks import CHECKS, check_faults
    from board_faults import FAULTS

    for name, check in CHECKS.items():
        yield Stimulus(f"{name}, {timing}", _on_board(check, TIMINGS[timing]), early=False)
    for group in FAULTS:
        yield Stimulus(f"faults {group}, {timing}", _on_board(
            lambda board, group=group: check_faults(board, group), TIMINGS[timing]), early=False)


def _disturbances() -> Iterator[Stimulus]:
    from random_faults import disturb

    for seed in range(DISTURBANCES):
        yield Stimulus(f"disturbance {seed}", lambda build, seed=seed: disturb(build, seed), early=False)


def _graphs() -> Iterator[Stimulus]:
    for seed in range(GRAPHS):
        yield Stimulus(f"graph {seed}", lambda build, seed=seed: run_graph(build, seed), early=False)


def _breaches() -> Iterator[Stimulus]:
    from bus_breaches import breach

    for seed in range(BREACHES):
        yield Stimulus(f"breach {seed}", lambda build, seed=seed: _discard(breach(build, seed)), early=False)


def _discard(_: object) -> None:
    """Stimuli raise or return nothing."""


def _on_board(check: Callable[[Any], Awaitable[None]], timing: Timing) -> Callable[[Build], None]:
    from board_direct import DirectBoard, complete
    from board_programs import MEMORY_BYTES

    def run(build: Build) -> None:
        memory = np.random.default_rng(1).integers(0, 256, MEMORY_BYTES, np.uint8)
        with RtlSimulator(build, memory, BASE, timing) as simulator:
            complete(check(DirectBoard(simulator, TINY)))

    return run
