"""Divides works into groups of independent works, so that one step executes a whole group."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.sim.plan.works import Index, Work


@dataclass(frozen=True)
class Group:
    """Works of one key. ``whole``: the only work writes words that it reads for other pixels, so everything is read
    first."""

    works: list[Work]
    whole: bool


@dataclass(frozen=True)
class Schedule:
    """``groups`` in order; ``written``: for each word, whether a work writes it; ``early``: whether one reads it before
    that."""

    groups: list[Group]
    written: NDArray[np.bool_]
    early: NDArray[np.bool_]


def schedule(works: Sequence[Work], words: int) -> Schedule:
    """Orders groups so that each word is read and written as in the order of ``works``.

    A work joins the latest group of its key if that comes after all groups on which it depends: those that write words that
    it reads or writes, and those that read words that it writes. ``words``: number of words.
    """
    groups: list[Group] = []
    latest: dict[Hashable, int] = {}
    # for each word, one more than the last group that writes or reads it; untouched zero pages take no memory
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
    """Whether it writes words that it reads for other pixels; ``marks``: one flag per word, all clear."""
    marks[work.destination] = True
    found = any(bool(marks[words].any()) and not _same_pixels(words, work.destination)
                for words in (work.sources, work.residual))
    marks[work.destination] = False
    return found


def _same_pixels(words: Index, destination: Index) -> bool:
    return words.size == destination.size and bool((words.ravel() == destination).all())
