"""Works into groups: those of a group depend on none of it, so that one step executes them all."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.plan.works import Index, Work


@dataclass(frozen=True)
class Group:
    """Works of one key. ``whole``: its one work writes words that it reads for other pixels, so that all is read first."""

    works: list[Work]
    whole: bool


@dataclass(frozen=True)
class Schedule:
    """``groups`` in order; ``written``: of each word, whether a work writes it; ``early``: whether one reads it before."""

    groups: list[Group]
    written: NDArray[np.bool_]
    early: NDArray[np.bool_]


def schedule(works: Sequence[Work], words: int) -> Schedule:
    """Groups in an order in which each word is read and written as in the order of ``works``.

    A work goes into the latest group of its key, if that comes after all groups whose works it depends on: those that write
    what it reads or writes, and those that read what it writes. ``words``: how many there are.
    """
    groups: list[Group] = []
    latest: dict[Hashable, int] = {}
    # For each word 1 more than the last group that writes or reads it; zeros are pages that the machine need not hold.
    writer, reader = np.zeros(words, np.int32), np.zeros(words, np.int32)
    marks, early = np.zeros(words, np.bool_), np.zeros(words, np.bool_)
    for work in works:
        reads, writes = work.reads, work.destination
        writers = writer[reads]
        early[reads] |= writers == 0
        earliest = max(int(writers.max()), int(writer[writes].max()), int(reader[writes].max()))
        group, whole = latest.get(work.key, -1), _overlaps_itself(work, marks)
        if group < earliest or whole:
            group = len(groups)
            groups.append(Group([], whole))
            latest[work.key] = -1 if whole else group
        groups[group].works.append(work)
        writer[writes] = group + 1
        reader[reads] = np.maximum(reader[reads], group + 1)
    return Schedule(groups, writer > 0, early)


def _overlaps_itself(work: Work, marks: NDArray[np.bool_]) -> bool:
    """Whether it writes words that it reads for other pixels; ``marks``: of all words, none set."""
    marks[work.destination] = True
    found = any(bool(marks[words].any()) and not _same_pixels(words, work.destination)
                for words in (work.sources, work.residual))
    marks[work.destination] = False
    return found


def _same_pixels(words: Index, destination: Index) -> bool:
    return words.size == destination.size and bool((words.ravel() == destination).all())
