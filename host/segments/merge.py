"""Merges the runs of a program's segments into one run.

The end of each segment overlaps the beginning of the next. If the digests of both runs' control state are equal at
an instruction of the overlap, the first run would continue exactly like the second, cycle for cycle. The first run up
to there and the second from there on are then the run of the whole program.
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
    """Where one segment's run continues in the next one's.

    Attributes
    ----------
    instruction
        The program's instruction after whose completion the runs are joined; None if the segments share no POST instruction.
    exact
        Whether the control states are equal there.
    """

    instruction: int | None
    exact: bool


@dataclass(frozen=True)
class Merged:
    """A whole run.

    Attributes
    ----------
    events
        Events as in ``Run``, of all segments without the overlaps.
    seams
        The seams, one fewer than segments.
    """

    events: NDArray[np.void]
    seams: tuple[Seam, ...]

    @property
    def exact(self) -> bool:
        """Whether it equals, cycle by cycle, the accelerator's run of the whole program."""
        return all(seam.exact for seam in self.seams)

    def report(self, program: Program, seconds: float) -> RunReport:
        """The report of the run, given its duration in seconds."""
        timeline = make_timeline(program, self.events)
        read, written = (int(self.events[name].sum(dtype=np.int64)) for name in ("words_read", "words_written"))
        return RunReport(RTL, program.macs, program.configuration.multipliers, seconds, timeline.cycles, timeline.counters(),
                         read, written)


def merge(segments: Sequence[Segment], runs: Sequence[Run]) -> Merged:
    """Merges ``segments``, given in order, with their runs."""
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
    """The first seam after instruction ``earlier`` at which both are in the same state, else the last shared instruction."""
    first, second = _digests(before, ended), _digests(after, begun)
    shared = [place for place in before.posts.tolist()
              if after.first <= place < after.end and (earlier is None or place > earlier)]
    same = next((place for place in shared if place in first and first[place] == second.get(place)), None)
    return Seam(shared[-1] if shared else None, False) if same is None else Seam(same, True)


def _digests(segment: Segment, run: Run) -> dict[int, tuple[int, ...]]:
    """The control state at the completion of each instruction of the program."""
    places = segment.posts[run.points["instruction"].astype(np.int64)]
    return {int(place): tuple(digest.tolist()) for place, digest in zip(places, run.points["digest"], strict=True)
            if place != OWN}


def _row(segment: Segment, run: Run, seam: Seam, otherwise: int) -> int:
    """The row of the run's events that follows the completion of the seam's instruction."""
    if seam.instruction is None:
        return otherwise
    number = int(np.flatnonzero(segment.posts == seam.instruction)[0])
    return int(np.flatnonzero(run.events["retired"] >> Unit.POST & 1)[number]) + 1
