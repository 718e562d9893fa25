"""How images are spread over workers: whole, or in segments."""

from dataclasses import dataclass
from itertools import pairwise

from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.plan import Planner
from arrayloom.host.segments.segment import Segment, cut
from arrayloom.isa.program import Program

MOST_SEGMENTED = 4      # images; with more, each goes to one worker, as a single emulator could not keep pace


@dataclass(frozen=True)
class Spread:
    """How the work is divided.

    Attributes
    ----------
    planner
        Planner of the program.
    whole
        Number of images that are run by one worker each, the first ones.
    segmented
        Number of the following images, which are run in segments.
    segments
        Segments of the program, in order.
    sizes
        Estimated cycles of each.
    """

    planner: Planner
    whole: int
    segmented: int
    segments: tuple[Segment, ...]
    sizes: tuple[int, ...]

    @property
    def cycles(self) -> int:
        """Estimated cycles of a whole run."""
        return int(self.planner.clock[self.planner.flow.end])

    @property
    def bounds(self) -> set[int]:
        """The instructions before which segments begin and end."""
        return {index for segment in self.segments for index in (segment.first, segment.end)}

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return self.whole + self.segmented * len(self.segments)

    @property
    def size(self) -> int:
        """Estimated cycles of all tasks."""
        return self.whole * self.cycles + self.segmented * sum(self.sizes)


def segmented(images: int, workers: int) -> int:
    """The number of images to run in segments: the last ones, which do not have a worker each."""
    rest = images % workers
    return rest if rest <= MOST_SEGMENTED else 0


def spread(program: Program, images: int, workers: int, cuts: tuple[int, ...] | None = None) -> Spread:
    """Divides ``images`` of ``program``.

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
