"""The stimuli for mutants: bodies of the tests of the whole accelerator, cheap and effective ones first.

Each is called with a build and raises if a check fails, like the test.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import End
from arrayloom.sim.rtl.build import Build
from benchmarks.mutation.graphs import run_graph
from benchmarks.mutation.late import check_late, check_late_watchdog

TESTS = Path(__file__).resolve().parents[2] / "tests"
SUPPORT = ("support", "end_to_end", "sim/cocotb/benches")     # folders of modules that tests share
TINY = PRESETS["tiny"]
EARLY = ("program 20, default", "program 21, stalling", "arithmetic 0", "identity, default", "held, default")
"""Sessions that detect most faults, cheapest first."""
WORDS, BLOCK = 200, 20
DISTURBANCES, BREACHES, GRAPHS = 24, 48, 20


@dataclass(frozen=True)
class Stimulus:
    """A check of a build.

    Attributes
    ----------
    name
        Its name.
    run
        Raises for a faulty build.
    modules
        Modules of tests, or of this package, that decide what it does, without those that they import.
    early
        It runs before the search for equivalent faults.
    record
        What it is compared with, if that is not in its modules.
    """

    name: str
    run: Callable[[Build], None]
    modules: tuple[str, ...]
    early: bool = False
    record: str = ""


def use_test_support() -> None:
    """Makes the modules that tests share importable."""
    for folder in SUPPORT:
        if (path := str(TESTS / folder)) not in sys.path:
            sys.path.append(path)


@cache
def stimuli() -> tuple[Stimulus, ...]:
    """All stimuli, in the order in which they run."""
    use_test_support()
    late = (Stimulus("late counters", check_late, ("late",)), Stimulus("late watchdog", check_late_watchdog, ("late",)))
    return (*_sessions(True), *late, *_sessions(False), *_extremes(), *_bits(), *_words(), *_graphs(), *_disturbances(),
            *_breaches())


def _sessions(early: bool) -> Iterator[Stimulus]:
    """Those of ``EARLY`` in its order, or all others."""
    from sessions import SESSIONS, check_session
    from transcript import recorded

    for name in EARLY if early else [one for one in SESSIONS if one not in EARLY]:
        yield Stimulus(name, lambda build, name=name: check_session(build, name), ("sessions",), early,
                       str(recorded().get(name)))


def _extremes() -> Iterator[Stimulus]:
    from field_extremes import cases, check_ends

    for cls in TINY.instructions:
        if cls is not End:
            yield Stimulus(f"field extremes of {cls.mnemonic()}",
                           lambda build, cls=cls: check_ends(build, cls, cases(cls)), ("field_extremes",))


def _bits() -> Iterator[Stimulus]:
    from field_bits import CLASSES, single_bits
    from field_extremes import check_ends

    for cls in TINY.instructions:
        if cls in CLASSES:
            yield Stimulus(f"field bits of {cls.mnemonic()}",
                           lambda build, cls=cls: check_ends(build, cls, single_bits(cls)), ("field_bits",))


def _words() -> Iterator[Stimulus]:
    for block in range(WORDS // BLOCK):
        yield Stimulus(f"words {BLOCK * block} to {BLOCK * block + BLOCK - 1}",
                       lambda build, block=block: _run_words(build, block), ("random_words", "word_checks"))


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


def _disturbances() -> Iterator[Stimulus]:
    from random_faults import disturb

    for seed in range(DISTURBANCES):
        yield Stimulus(f"disturbance {seed}", lambda build, seed=seed: disturb(build, seed), ("random_faults",))


def _graphs() -> Iterator[Stimulus]:
    for seed in range(GRAPHS):
        yield Stimulus(f"graph {seed}", lambda build, seed=seed: run_graph(build, seed), ("graphs",))


def _breaches() -> Iterator[Stimulus]:
    from bus_breaches import breach

    for seed in range(BREACHES):
        yield Stimulus(f"breach {seed}", lambda build, seed=seed: _discard(breach(build, seed)), ("bus_breaches",))


def _discard(_: object) -> None:
    """Wraps a function as a stimulus, which raises or returns None."""
