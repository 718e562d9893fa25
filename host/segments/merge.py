"""The runs of a program's segments as one run.

Two segments have instructions in common, the end of one and the beginning of the next. Where the digests of both runs'
control state are equal at one of those, the first would go on as the second does, cycle for cycle: so what the first has
done up to there and the second from there on is what the whole program does.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.report import RunReport
from arrayloom.host.segments.run import Run
from arrayloom.host.segments.segment import OWN, Segment
from arrayloom.isa.fields import Unit
from arrayloom.isa.program import Program
from arrayloom.sim.rtl.timeline import make_timeline

RTL = "rtl"


@dataclass(frozen=True)
class Seam:
    """Where one segment's run is taken up by the next one's.

    Attributes:
        instruction: of the program, after whose completion; None where the segments have none of the POST unit in common.
        exact: whether the control states are equal there.
    """

    instruction: int | None
    exact: bool


@dataclass(frozen=True)
class Merged:
    """A whole run.

    Attributes:
        events: as those of ``Run``, of all segments without what they have in common.
        seams: one less than there are segments.
    """

    events: NDArray[np.void]
    seams: tuple[Seam, ...]

    @property
    def exact(self) -> bool:
        """Whether that is to the cycle what the accelerator does when it runs the whole program."""
        return all(seam.exact for seam in self.seams)

    def report(self, program: Program, seconds: float) -> RunReport:
        """What the run cost, if it took so many seconds."""
        timeline = make_timeline(program, self.events)
        read, written = (int(self.events[name].sum(dtype=np.int64)) for name in ("words_read", "words_written"))
        return RunReport(RTL, program.macs, program.configuration.multipliers, seconds, timeline.cycles, timeline.counters(),
                         read, written)


def merge(segments: Sequence[Segment], runs: Sequence[Run]) -> Merged:
    """``segments`` in order, and what each one's run gave."""
    parts = list(zip(segments, runs, strict=True))
    seams: list[Seam] = []
    for before, after in itertools.pairwise(parts):
        seams.append(_seam(*before, *after, seams[-1].instruction if seams else None))
    begins = [0, *(_row(*part, seam, 0) for part, seam in zip(parts[1:], seams, strict=True))]
    ends = [*(_row(*part, seam, len(part[1].events)) for part, seam in zip(parts, seams, strict=False)),
            len(runs[-1].events)]
    windows = [run.events[begin:end] for run, begin, end in zip(runs, begins, ends, strict=True)]
    return Merged(np.concatenate(windows), tuple(seams))


def _seam(before: Segment, ended: Run, after: Segment, begun: Run, earlier: int | None) -> Seam:
    """Where both are in the same state, after instruction ``earlier``; where they never are, the last that they share."""
    first, second = _digests(before, ended), _digests(after, begun)
    shared = [place for place in before.posts.tolist()
              if after.first <= place < after.end and (earlier is None or place > earlier)]
    same = next((place for place in shared if place in first and first[place] == second.get(place)), None)
    return Seam(shared[-1] if shared else None, False) if same is None else Seam(same, True)


def _digests(segment: Segment, run: Run) -> dict[int, tuple[int, ...]]:
    """By instruction of the program, what the control state was when it was complete."""
    places = segment.posts[run.points["instruction"].astype(np.int64)]
    return {int(place): tuple(digest.tolist()) for place, digest in zip(places, run.points["digest"], strict=True)
            if place != OWN}


def _row(segment: Segment, run: Run, seam: Seam, otherwise: int) -> int:
    """The row of the run's events that follows the completion of the seam's instruction."""
    if seam.instruction is None:
        return otherwise
    number = int(np.flatnonzero(segment.posts == seam.instruction)[0])
    return int(np.flatnonzero(run.events["retired"] >> Unit.POST & 1)[number]) + 1
