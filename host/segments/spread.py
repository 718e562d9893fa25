"""How images are spread over workers: whole, or in segments."""

from dataclasses import dataclass
from itertools import pairwise

from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.plan import Planner
from arrayloom.host.segments.segment import Segment, cut
from arrayloom.isa.program import Program

MOST_SEGMENTED = 4      # images: of more, each goes to one worker, for the emulator in one process could not keep pace


@dataclass(frozen=True)
class Spread:
    """What is done where.

    Attributes:
        planner: of the program.
        whole: the first so many images are run by one worker each.
        segmented: those after them are run in segments.
        segments: of the program, in order.
        sizes: about the cycles of each.
    """

    planner: Planner
    whole: int
    segmented: int
    segments: tuple[Segment, ...]
    sizes: tuple[int, ...]

    @property
    def cycles(self) -> int:
        """Of a whole run, about."""
        return int(self.planner.clock[self.planner.flow.end])

    @property
    def bounds(self) -> set[int]:
        """The instructions before which segments begin and end."""
        return {index for segment in self.segments for index in (segment.first, segment.end)}

    @property
    def tasks(self) -> int:
        """How many there are."""
        return self.whole + self.segmented * len(self.segments)

    @property
    def size(self) -> int:
        """Cycles of all tasks, about."""
        return self.whole * self.cycles + self.segmented * sum(self.sizes)


def segmented(images: int, workers: int) -> int:
    """How many of the last images are run in segments: those for which there is not a worker each."""
    rest = images % workers
    return rest if rest <= MOST_SEGMENTED else 0


def spread(program: Program, images: int, workers: int, cuts: tuple[int, ...] | None = None) -> Spread:
    """Spreads ``images`` of ``program``.

    ``cuts``: the first instructions of all segments but the first, in ascending order, instead of as planned.
    """
    flow, rest = Flow(program), segmented(images, workers)
    planner = Planner(flow)
    if cuts is None:
        spans = list(planner.spans(workers))
    else:
        spans = [planner.span(*bounds) for bounds in pairwise([0, *cuts, flow.end])]
    segments = tuple(cut(flow, number, span.first, span.last, span.end) for number, span in enumerate(spans))
    return Spread(planner, images - rest, rest, segments, tuple(span.cycles for span in spans))
