"""Forecast of a verification over workers: how it is spread, and how long it takes."""

from dataclasses import asdict, dataclass
from heapq import heapreplace
from typing import Any

from arrayloom.compiler.cost import predict
from arrayloom.host.segments.segment import Segment
from arrayloom.host.segments.speed import Speed
from arrayloom.host.segments.spread import Spread


@dataclass(frozen=True)
class Part:
    """One task: an image, or a segment of its run.

    Attributes
    ----------
    image
        Number of the image.
    segment
        None for the whole image.
    cycles
        Cycles predicted by the cost model.
    begin
        Start in seconds after the first task's.
    end
        End in seconds after the first task's start.
    """

    image: int
    segment: Segment | None
    cycles: int
    begin: float
    end: float

    def figures(self) -> dict[str, Any]:
        """The figures under their names in ``--json``."""
        found = {"image": self.image, "cycles": self.cycles, "begin_seconds": self.begin, "end_seconds": self.end}
        return found | (self.segment.figures() if self.segment else {})


@dataclass(frozen=True)
class Forecast:
    """The forecast for ``workers`` that simulate at ``speed``.

    Attributes
    ----------
    cycles
        Cycles of whole runs of all images, predicted by the cost model.
    parts
        Tasks in the order of their start.
    """

    workers: int
    speed: Speed
    cycles: int
    parts: tuple[Part, ...]

    @property
    def simulated(self) -> int:
        """Cycles of all parts; the overlap of two segments is simulated twice."""
        return sum(part.cycles for part in self.parts)

    @property
    def seconds(self) -> float:
        """Seconds from the first task to the end of the last."""
        return max(part.end for part in self.parts)

    @property
    def alone(self) -> float:
        """The same without workers: the emulator, then the RTL."""
        return self.cycles / self.speed.emulated + self.cycles / self.speed.simulated

    def figures(self) -> dict[str, Any]:
        """The figures under their names in ``--json``."""
        return {"workers": self.workers, "predicted_cycles": self.cycles, "simulated_cycles": self.simulated,
                "predicted_seconds": self.seconds, "predicted_seconds_without_workers": self.alone,
                "segments": [part.figures() for part in self.parts], "speed": asdict(self.speed)}


def forecast(plan: Spread, workers: int, speed: Speed) -> Forecast:
    """The forecast if the tasks of ``plan`` are started in order, each by the first free worker."""
    flow = plan.planner.flow
    program, config = flow.program, flow.program.configuration
    cycles = predict(program, config).cycles
    free, parts = [0.0] * workers, []

    def add(image: int, segment: Segment | None, length: int, there: float, seconds: float) -> None:
        begin = max(free[0], there)
        heapreplace(free, begin + seconds)
        parts.append(Part(image, segment, length, begin, begin + seconds))

    for image in range(plan.whole):
        add(image, None, cycles, 0.0, cycles / speed.emulated + cycles / speed.simulated)
    segments = plan.segments if plan.segmented else ()
    lengths = [predict(segment.program(program), config).cycles for segment in segments]
    for image in range(plan.segmented):
        for segment, length in zip(segments, lengths, strict=True):
            there = (image * cycles + int(plan.planner.clock[segment.first])) / speed.emulated
            add(plan.whole + image, segment, length, there, length / speed.simulated)
    return Forecast(workers, speed, (plan.whole + plan.segmented) * cycles, tuple(parts))
