"""What every unit did in every cycle of a run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Track:
    """One unit's run, as segments that follow each other without a gap and end with the run.

    A segment ends where the cause or the instruction changes. A unit is *at* the oldest of its instructions that it has
    not retired, up to the cycle of its retirement; so what a pipeline already does for the next one counts for that which
    leaves it. FETCH is at the instruction that it dispatches next.

    Attributes:
        starts: int64[n], first cycle of each segment; cycle 0 is the first that CYCLES counts.
        causes: uint8[n], ``isa.registers.Cause``.
        instructions: int32[n], index in the program, or -1 while the unit has not had its first instruction or is done
            with its last.
    """

    starts: NDArray[np.int64]
    causes: NDArray[np.uint8]
    instructions: NDArray[np.int32]


@dataclass(frozen=True)
class Traffic:
    """Words over the memory bus, by all units, at some cycles of a run.

    Attributes:
        cycles: int64[n], ascending.
        words_read: int64[n], read before that cycle.
        words_written: int64[n], written before that cycle.
    """

    cycles: NDArray[np.int64]
    words_read: NDArray[np.int64]
    words_written: NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """A run of ``cycles``; ``tracks`` by unit: FETCH, LOAD, ARRAY, POST, STORE."""

    cycles: int
    tracks: dict[str, Track]
    traffic: Traffic
