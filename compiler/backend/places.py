"""Where the rows or columns of a tensor come from: places in the source, -1 for none."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.instructions import Convolve

LONGEST_PERIOD = 8
LARGEST_STEP = next(spec.high for spec in Convolve.specs() if spec.name == "stride_y")

Places = NDArray[np.int32]


@dataclass(frozen=True)
class Run:
    """Places ``first`` to ``first + pixels``: ``count`` periods of ``period``, from ``source`` on, ``step`` apart.

    In each period the same place again and again; with ``phase`` it is there once, at that position, among -1. A run of
    -1 alone has the source -1.
    """

    first: int
    count: int
    period: int
    source: int
    step: int
    phase: int | None = None

    @property
    def pixels(self) -> int:
        return self.count * self.period


def straight(places: Places, extent: int) -> tuple[int, int] | None:
    """(start, step) where place i is i * step + start, or -1 where that lies outside [0, extent); None where it is not."""
    there = np.flatnonzero(places >= 0)
    first = int(there[0])
    steps = [1, 0, extent] if there.size == 1 else [int(places[there[1]] - places[first]) // int(there[1] - first)]
    for step in (step for step in steps if 0 <= step <= LARGEST_STEP):
        start = int(places[first]) - first * step
        expected = start + np.arange(len(places)) * step
        if np.array_equal(np.where((expected >= 0) & (expected < extent), expected, -1), places):
            return start, step
    return None


def runs(places: Places, most: int) -> Iterator[Run]:
    """The places as few runs of at most ``most`` pixels each, the longest first choice at every point."""
    first = 0
    while first < len(places):
        best = max(_candidates(places[first:first + most], first), key=lambda run: run.pixels)
        yield best
        first += best.pixels


def _candidates(places: Places, first: int) -> Iterator[Run]:
    """Runs that begin with the first of these places, short periods before long ones."""
    missing = int(np.argmax(places >= 0)) if (places >= 0).any() else len(places)
    if missing:
        yield Run(first, missing, 1, -1, 0)
    for period in range(1, min(LONGEST_PERIOD, len(places)) + 1):
        phases = [None] if period == 1 else [None, *range(period)]
        for phase in phases:
            run = _periodic(places, first, period, phase)
            if run is not None:
                yield run


def _periodic(places: Places, first: int, period: int, phase: int | None) -> Run | None:
    """The longest run of that shape; None where not even one period has it."""
    rows = places[:len(places) // period * period].reshape(-1, period)
    sources = rows[:, phase or 0]
    expected = np.full_like(rows, -1) if phase is not None else np.repeat(sources[:, np.newaxis], period, axis=1)
    if phase is not None:
        expected[:, phase] = sources
    step = int(sources[1] - sources[0]) if len(sources) > 1 else 0
    step = step if 0 <= step <= LARGEST_STEP else 0
    even = sources == sources[0] + np.arange(len(sources)) * step
    fits = (rows == expected).all(axis=1) & (sources >= 0) & even
    count = int(np.argmin(fits)) if not fits.all() else len(fits)
    return Run(first, count, period, int(sources[0]), step, phase) if count else None
