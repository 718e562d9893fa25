"""Checks of the accelerator on the in-process simulator, by name, each compared with its record.

``python -m sessions``, with tests/support and this folder on PYTHONPATH, records all of them again (transcript.py).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import transcript
from board_adds import exact_adds
from board_arithmetic import Arithmetic
from board_bits import every_register, loads, long_counts, refused_words, reserved_bits, stores, watched
from board_checks import CHECKS, check_faults
from board_counts import absent_causes, chip_ends, many_loads, many_stores
from board_direct import DirectBoard, complete
from board_faults import FAULTS
from board_limits import cycle_limits, full, resets, tokens, watchdogs
from board_programs import MEMORY_BYTES, Mixed
from board_runs import check_program
from board_ties import adds, averages, small_averages
from board_windows import anywhere, bases

from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS
from arrayloom.isa.program import Program
from arrayloom.sim.rtl.build import Build, build
from arrayloom.sim.rtl.design import accelerator
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import RtlSimulator

BASE = 0x31_2345_6000
CONFIG = PRESETS["tiny"]
TIMINGS = {"default": Timing(), "stalling": Timing(latency=3, outstanding=2, stall_percent=40, seed=5),
           "slow": Timing(latency=200, beat_interval=3)}
PROGRAMS, ARITHMETIC, TIES, EXACT = range(20, 30), range(20), range(2), range(6)
CORNERS = (watched, every_register, resets, watchdogs, cycle_limits, refused_words, reserved_bits, loads, stores, full,
           long_counts, many_loads, many_stores, absent_causes, chip_ends)
"""Checks that need many short runs; they run with one timing."""


@dataclass(frozen=True)
class Session:
    """A check, the memory's timing, and its address."""

    check: Callable[[DirectBoard], Awaitable[None]]
    timing: Timing = TIMINGS["default"]
    base: int = BASE

    def run(self, build: Build) -> transcript.Record:
        """Returns the transcript; raises if the check fails."""
        memory = np.random.default_rng(1).integers(0, 256, MEMORY_BYTES, np.uint8)
        with RtlSimulator(build, memory, self.base, self.timing) as simulator:
            board = DirectBoard(simulator, CONFIG)
            complete(self.check(board))
            return board.seen()


def check_session(build: Build, name: str) -> None:
    """Raises if the session's check fails, or its transcript differs from the recorded one."""
    transcript.compare(name, SESSIONS[name].run(build))


def _runs(make: Callable[[], Program]) -> Callable[[DirectBoard], Awaitable[None]]:
    made = cache(make)
    return lambda board: check_program(board, made())


def _faults(group: str) -> Callable[[DirectBoard], Awaitable[None]]:
    return lambda board: check_faults(board, group)


SESSIONS: dict[str, Session] = {
    **{check.__name__: Session(check) for check in CORNERS},
    **{f"{make.__name__} {seed}": Session(_runs(lambda make=make, seed=seed: make(CONFIG, seed)))
       for make in (adds, averages, small_averages) for seed in TIES},
    **{f"exact adds {seed}": Session(_runs(lambda seed=seed: exact_adds(CONFIG, seed))) for seed in EXACT},
    **{f"tokens of {unit.name}": Session(lambda board, unit=unit: tokens(board, unit)) for unit in CORE_UNITS},
    **{f"anywhere, base {base:x}": Session(anywhere, base=base) for base in bases()},
    **{f"arithmetic {seed}": Session(_runs(lambda seed=seed: Arithmetic(CONFIG, seed).program)) for seed in ARITHMETIC},
    **{f"faults {group}, {name}": Session(_faults(group), timing) for name, timing in TIMINGS.items() for group in FAULTS},
    **{f"{check}, {name}": Session(CHECKS[check], timing) for name, timing in TIMINGS.items() for check in CHECKS},
    **{f"program {seed}, {name}": Session(_runs(lambda seed=seed: Mixed(CONFIG, seed, 2).program), timing)
       for seed in PROGRAMS for name, timing in TIMINGS.items()},
}


if __name__ == "__main__":
    transcript.write({name: session.run(build(accelerator(CONFIG))) for name, session in SESSIONS.items()})
