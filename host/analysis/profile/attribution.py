"""Every cycle of every unit to one row and one cause."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.analysis.profile.rows import Rows
from arrayloom.host.analysis.profile.tokens import binding_producers
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.fields import Instruction
from arrayloom.isa.registers import Cause
from arrayloom.sim.rtl.timeline import Timeline, Track

Counts = NDArray[np.int64]
CAUSES = 1 + max(Cause)


class ProfileError(ArrayloomError):
    """Measurements of one run that contradict each other."""


def cause_name(cause: int) -> str:
    return Cause(cause).name.lower()


@dataclass(frozen=True)
class Attribution:
    """A unit's cycles.

    ``causes``: int64[rows, CAUSES]; ``producers``: int64[rows, units], the cycles of ``Cause.TOKEN`` by the unit that
    gave the token last, units in the order of the timeline's tracks; ``spans``: for each row the first cycle in which
    the unit computes for it and the one after the last, or None.
    """

    causes: Counts
    producers: Counts
    spans: tuple[tuple[int, int] | None, ...]


def durations(track: Track, cycles: int) -> Counts:
    """The length of each segment of a track of a run of ``cycles``.

    Raises ``ProfileError`` when they do not cover the run.
    """
    lengths = np.diff(track.starts, append=cycles)
    if not lengths.size or track.starts[0] != 0 or lengths.min() <= 0:
        raise ProfileError(f"the timeline's segments do not cover the run's {cycles} cycles without gap or overlap")
    return lengths


def attribute(timeline: Timeline, rows: Rows, instructions: list[Instruction]) -> dict[str, Attribution]:
    """The attribution of each unit; each sums to the run's cycles."""
    producers = binding_producers(timeline, instructions)
    return {unit: _attribute(unit, timeline, rows, producers) for unit in timeline.tracks}


def _attribute(unit: str, timeline: Timeline, rows: Rows, producers: NDArray[np.int64]) -> Attribution:
    track, count, units = timeline.tracks[unit], len(rows.rows), len(timeline.tracks)
    lengths, owners = durations(track, timeline.cycles), rows.of_segments(track.instructions)
    causes = _sum(owners, track.causes.astype(np.int64), lengths, (count, CAUSES))
    waits = (track.causes == Cause.TOKEN) & (track.instructions >= 0)
    producer = producers[track.instructions[waits]]
    known = producer >= 0
    waited = _sum(owners[waits][known], producer[known], lengths[waits][known], (count, units))
    return Attribution(causes, waited, _spans(track, owners, lengths, count))


def _sum(rows: Counts, columns: Counts, lengths: Counts, shape: tuple[int, int]) -> Counts:
    result = np.zeros(shape, np.int64)
    np.add.at(result, (rows, columns), lengths)
    return result


def _spans(track: Track, owners: Counts, lengths: Counts, count: int) -> tuple[tuple[int, int] | None, ...]:
    computing = track.causes == Cause.COMPUTING
    begins, ends = track.starts[computing], (track.starts + lengths)[computing]
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, owners[computing], begins)
    np.maximum.at(last, owners[computing], ends)
    return tuple((int(a), int(b)) if b else None for a, b in zip(first, last, strict=True))


def check_counters(attributions: dict[str, Attribution], counters: dict[str, dict[str, int]]) -> None:
    """Raises ``ProfileError`` unless the timeline says of each unit and cause what its counter register says."""
    if set(counters) != set(attributions):
        raise ProfileError(f"counters of {', '.join(counters)}, timeline of {', '.join(attributions)}")
    for unit, attribution in attributions.items():
        for cause in Cause:
            seen, counted = int(attribution.causes[:, cause].sum()), counters[unit][cause.name]
            if seen != counted:
                raise ProfileError(f"{unit}: {seen:,} cycles of {cause_name(cause)} in the timeline, {counted:,} in the "
                                   "counter register; please report this with the model and the configuration")
