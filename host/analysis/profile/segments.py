"""Segments of a track made fewer: short ones merged, or folded into columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.analysis.profile.attribution import CAUSES, Counts, durations
from arrayloom.sim.rtl.timeline import Timeline, Track


@dataclass(frozen=True)
class Segments:
    """Consecutive segments: where each begins, its length, the cause of most of its cycles, and the cycles of each cause
    in it. None reaches over the border of an instruction."""

    starts: Counts
    lengths: Counts
    causes: Counts
    merged: list[dict[int, int]]


def coalesce(track: Track, lengths: Counts, shortest: int) -> Segments:
    """The segments of a track of which neighbours under ``shortest`` cycles, of one instruction, are one."""
    brief = lengths < shortest
    breaks = np.ones(len(lengths), bool)
    breaks[1:] = ~(brief[1:] & brief[:-1]) | (track.instructions[1:] != track.instructions[:-1])
    begins = np.flatnonzero(breaks)
    group = np.cumsum(breaks) - 1
    counts = np.zeros((len(begins), CAUSES), np.int64)
    np.add.at(counts, (group, track.causes), lengths)
    merged = [{int(cause): int(row[cause]) for cause in np.flatnonzero(row)} for row in counts]
    return Segments(track.starts[begins], counts.sum(1), counts.argmax(1), merged)


def edges(cycles: int, columns: int) -> Counts:
    """int64[n + 1]: the borders of at most ``columns`` columns of a run."""
    return np.unique(np.linspace(0, cycles, min(columns, cycles) + 1).astype(np.int64))


def fold(timeline: Timeline, unit: str, borders: Counts) -> NDArray[np.int64]:
    """int64[n, CAUSES]: the cycles of each cause between neighbouring borders; exact."""
    track = timeline.tracks[unit]
    lengths = durations(track, timeline.cycles)
    points = np.append(track.starts, timeline.cycles)
    result = np.zeros((len(borders) - 1, CAUSES), np.int64)
    for cause in range(CAUSES):
        passed = np.append(0, np.cumsum(np.where(track.causes == cause, lengths, 0)))
        result[:, cause] = np.diff(np.rint(np.interp(borders, points, passed)).astype(np.int64))
    return result
