"""Plans where a program is cut for a number of workers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.overlap import Overlap
from arrayloom.host.segments.segment import begins

SHARE = 1.5         # segments per worker's share of the remaining program ...
SMALLEST = 12       # ... but at most this many per share of the whole program
NEAR = (0.5, 2.0)   # factor by which a segment may be longer for a cheaper end
CANDIDATES = 24     # candidates examined for each cut
UNEVEN = 0.08       # cost of a deviating length, per power of e, as a fraction of the segment's cycles
WORTH = 0.5         # highest cost of a cut, as a fraction of the preceding segment's cycles


@dataclass(frozen=True)
class Span:
    """A planned segment: its instructions, as in ``arrayloom.host.segments.segment.Segment``.

    ``own`` and ``cycles``: estimated cycles without and with the overlap with the next segment.
    """

    first: int
    last: int
    end: int
    own: int
    cycles: int


class Planner:
    """Plans for one program, from a cheap estimate of its cycles."""

    def __init__(self, flow: Flow) -> None:
        self.flow, self.overlap = flow, Overlap(flow)
        self.clock: NDArray[np.int64] = self.overlap.clock
        self._starts = np.flatnonzero(flow.quiet[:flow.end])

    def spans(self, workers: int) -> Iterator[Span]:
        """Segments in order. They get shorter towards the end, so that all workers finish at about the same time."""
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
        """The segment of these instructions and the necessary overlap."""
        end = self.overlap.end(last) if last < self.flow.end else last
        return Span(first, last, end, int(self.clock[last] - self.clock[first]), int(self.clock[end] - self.clock[first]))

    def _cut(self, first: int, size: float, most: float) -> int | None:
        """The best end for a segment of about ``size`` cycles, or if impossible for a longer one of at most ``most``."""
        low, high = NEAR[0] * size, min(NEAR[1] * size, most)
        while low < most:
            costs = {cut: self._cost(first, cut, size) for cut in self._between(first, low, high)}
            best = min(costs, key=lambda cut: costs[cut], default=None)
            if best is not None and costs[best] < WORTH:
                return best
            low, high = high, min(2 * high, most)
        return None

    def _between(self, first: int, low: float, high: float) -> list[int]:
        """Some of the possible cuts in a range of cycles after ``first``."""
        bounds = np.searchsorted(self.clock[self._starts], int(self.clock[first]) + np.array((low, high)))
        near = self._starts[slice(*bounds)]
        chosen = near[np.unique(np.linspace(0, len(near) - 1, CANDIDATES).astype(int))] if len(near) else near
        return [cut for cut in chosen.tolist() if self.clock[cut] > self.clock[first] and begins(self.flow, cut)]

    def _cost(self, first: int, cut: int, size: float) -> float:
        """The cost of a cut, as a fraction of the cycles of the segment that ends there, or of the remainder if that is
        shorter."""
        span, left = self.span(first, cut), int(self.clock[self.flow.end] - self.clock[cut])
        return (span.cycles - span.own) / max(1, min(span.own, left)) + UNEVEN * abs(math.log(span.own / size))
