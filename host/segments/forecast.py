"""How a verification over workers is spread, and how long it takes, before it is begun."""

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

    Attributes:
        image: its number.
        segment: None for the whole image.
        cycles: by the cost model.
        begin: seconds after the first task.
        end: likewise.
    """

    image: int
    segment: Segment | None
    cycles: int
    begin: float
    end: float

    def figures(self) -> dict[str, Any]:
        """Under the names that ``--json`` gives them."""
        found = {"image": self.image, "cycles": self.cycles, "begin_seconds": self.begin, "end_seconds": self.end}
        return found | (self.segment.figures() if self.segment else {})


@dataclass(frozen=True)
class Forecast:
    """What is expected of ``workers`` that simulate as fast as ``speed`` says.

    Attributes:
        cycles: of whole runs of all images, by the cost model.
        parts: in the order in which they are begun.
    """

    workers: int
    speed: Speed
    cycles: int
    parts: tuple[Part, ...]

    @property
    def simulated(self) -> int:
        """Cycles of all parts; what two segments have in common is simulated twice."""
        return sum(part.cycles for part in self.parts)

    @property
    def seconds(self) -> float:
        """From the first task to the end of the last."""
        return max(part.end for part in self.parts)

    @property
    def alone(self) -> float:
        """The same without workers: the emulator, then the RTL."""
        return self.cycles / self.speed.emulated + self.cycles / self.speed.simulated

    def figures(self) -> dict[str, Any]:
        """Under the names that ``--json`` gives them."""
        return {"workers": self.workers, "predicted_cycles": self.cycles, "simulated_cycles": self.simulated,
                "predicted_seconds": self.seconds, "predicted_seconds_without_workers": self.alone,
                "segments": [part.figures() for part in self.parts], "speed": asdict(self.speed)}


def forecast(plan: Spread, workers: int, speed: Speed) -> Forecast:
    """What to expect when the tasks of ``plan`` are begun in order, each by the first worker that is free."""
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
