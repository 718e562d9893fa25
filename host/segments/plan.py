"""Where a program is cut for a number of workers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.overlap import Overlap
from arrayloom.host.segments.segment import begins

SHARE = 1.5         # segments into which each worker's share of what is left would be cut ...
SMALLEST = 12       # ... but its share of the whole into no more than so many
NEAR = (0.5, 2.0)   # as a factor of that, how long a segment may be, so that its end costs less
CANDIDATES = 24     # places that are looked at for each cut
UNEVEN = 0.08       # what a segment of another length costs, for each power of e, as a part of its cycles
WORTH = 0.5         # what a cut may cost at most, as a part of the cycles of the segment before it


@dataclass(frozen=True)
class Span:
    """A segment to be cut: its instructions, as ``arrayloom.host.segments.segment.Segment`` has them.

    ``own`` and ``cycles``: about how many cycles it has without, and with what it has in common with the next one.
    """

    first: int
    last: int
    end: int
    own: int
    cycles: int


class Planner:
    """Plans for one program, from an estimate of its cycles that costs nearly nothing."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.overlap = flow, Overlap(flow)
        self.clock: NDArray[np.int64] = self.overlap.clock
        self._starts = np.flatnonzero(flow.quiet[:flow.end])

    def spans(self, workers: int) -> Iterator[Span]:
        """Segments in order. They become smaller towards the end, so that all workers end at about the same time."""
        total, first = int(self.clock[self.flow.end]), 0
        least = total / (SMALLEST * workers)
        while workers > 1:
            left = total - int(self.clock[first])
            size = max(left / (SHARE * workers), least)
            cut = self._cut(first, size, left - least / 2)
            if cut is None:
                break
            yield self.span(first, cut)
            first = cut
        yield self.span(first, self.flow.end)

    def span(self, first: int, last: int) -> Span:
        """The segment of these instructions, and of as many of the next as it needs."""
        end = self.overlap.end(last) if last < self.flow.end else last
        return Span(first, last, end, int(self.clock[last] - self.clock[first]), int(self.clock[end] - self.clock[first]))

    def _cut(self, first: int, size: float, most: float) -> int | None:
        """Where a segment of about ``size`` cycles ends best; where it cannot, a longer one, of no more than ``most``."""
        low, high = NEAR[0] * size, min(NEAR[1] * size, most)
        while low < most:
            costs = {cut: self._cost(first, cut, size) for cut in self._between(first, low, high)}
            best = min(costs, key=lambda cut: costs[cut], default=None)
            if best is not None and costs[best] < WORTH:
                return best
            low, high = high, min(2 * high, most)
        return None

    def _between(self, first: int, low: float, high: float) -> list[int]:
        """Some of the cuts so many cycles after ``first``."""
        bounds = np.searchsorted(self.clock[self._starts], int(self.clock[first]) + np.array((low, high)))
        near = self._starts[slice(*bounds)]
        chosen = near[np.unique(np.linspace(0, len(near) - 1, CANDIDATES).astype(int))] if len(near) else near
        return [cut for cut in chosen.tolist() if self.clock[cut] > self.clock[first] and begins(self.flow, cut)]

    def _cost(self, first: int, cut: int, size: float) -> float:
        """As a part of the cycles of the segment that ends there, or of all that is left after it if that is less."""
        span, left = self.span(first, cut), int(self.clock[self.flow.end] - self.clock[cut])
        return (span.cycles - span.own) / max(1, min(span.own, left)) + UNEVEN * abs(math.log(span.own / size))
