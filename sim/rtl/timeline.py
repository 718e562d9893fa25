"""The activity of every unit in every cycle of a run."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.program import Program
from arrayloom.isa.registers import CAUSE_BITS, Block, Cause, blocks_of


@dataclass(frozen=True)
class Track:
    """One unit's run, as segments that follow each other without a gap and end with the run.

    A segment ends where the cause or the instruction changes. A unit's current instruction is the oldest one that it has not
    retired, up to the cycle of its retirement; so work that a pipeline already does for the next instruction counts for the
    one that is leaving. FETCH's current instruction is the one that it dispatches next.

    Attributes
    ----------
    starts
        int64[n], first cycle of each segment; cycle 0 is the first that CYCLES counts.
    causes
        uint8[n], ``arrayloom.isa.registers.Cause``.
    instructions
        Int32[n], index in the program, or -1 while the unit has not had its first instruction or is done
        with its last.
    """

    starts: NDArray[np.int64]
    causes: NDArray[np.uint8]
    instructions: NDArray[np.int32]

    def lengths(self, cycles: int) -> NDArray[np.int64]:
        """Cycles in each segment of a run of ``cycles``: int64[n]."""
        return np.diff(self.starts, append=cycles)


@dataclass(frozen=True)
class Traffic:
    """Words transferred on the memory bus by all units, up to some cycles of a run.

    Attributes
    ----------
    cycles
        int64[n], ascending, from 0 to the run's length.
    words_read
        int64[n], read before that cycle.
    words_written
        int64[n], written before that cycle.
    """

    cycles: NDArray[np.int64]
    words_read: NDArray[np.int64]
    words_written: NDArray[np.int64]


@dataclass(frozen=True)
class Timeline:
    """A run of ``cycles``; ``tracks`` by unit: those of the accelerator and FETCH."""

    cycles: int
    tracks: dict[str, Track]
    traffic: Traffic

    def counters(self) -> dict[str, dict[str, int]]:
        """Cycles by unit and cause, as in the hardware's counters."""
        totals = {name: np.bincount(track.causes, track.lengths(self.cycles), len(Cause)).astype(np.int64)
                  for name, track in self.tracks.items()}
        return {name: {cause.name: int(total[cause]) for cause in Cause} for name, total in totals.items()}


def make_timeline(program: Program, segments: NDArray[np.void]) -> Timeline:
    """The timeline of a run of ``program`` from its recorded segments: ``arrayloom.sim.rtl.library.SEGMENT`` [n]."""
    ends = np.cumsum(segments["cycles"], dtype=np.int64)
    starts = ends - segments["cycles"]
    units = np.array([Block.FETCH if instruction.UNIT is None else instruction.UNIT for instruction in program])
    tracks = {}
    for block in blocks_of(program.configuration.units):
        own = np.arange(len(units)) if block is Block.FETCH else np.flatnonzero(units == block)
        tracks[block.name] = _track(block, own.astype(np.int32), starts, segments)
    return Timeline(int(ends[-1]) if len(ends) else 0, tracks, _traffic(ends, segments))


def _track(block: Block, own: NDArray[np.int32], starts: NDArray[np.int64], segments: NDArray[np.void]) -> Track:
    causes = (segments["causes"] >> CAUSE_BITS * block & (1 << CAUSE_BITS) - 1).astype(np.uint8)
    retired = (segments["retired"] >> block & 1).astype(np.int64)
    done = np.cumsum(retired) - retired
    instructions = np.append(own, np.int32(-1))[np.minimum(done, len(own))]
    instructions[:np.argmax(causes != Cause.IDLE) if (causes != Cause.IDLE).any() else len(causes)] = -1
    changes = np.ones(len(starts), np.bool_)
    changes[1:] = (np.diff(causes) != 0) | (np.diff(instructions) != 0)
    return Track(starts[changes], causes[changes], instructions[changes])


def _traffic(ends: NDArray[np.int64], segments: NDArray[np.void]) -> Traffic:
    read, written = (np.cumsum(segments[name], dtype=np.int64) for name in ("words_read", "words_written"))
    return Traffic(*(np.concatenate([np.zeros(1, np.int64), values]) for values in (ends, read, written)))
