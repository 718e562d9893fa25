"""Reports of a run: its progress, and its cost at the end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np

from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Convolve
from arrayloom.isa.program import Program


@dataclass(frozen=True)
class RunReport:
    """The cost of one run of a program.

    Attributes
    ----------
    backend
        Name of the device.
    macs
        Multiply-accumulates of the graph.
    multipliers
        Number of multipliers of the accelerator.
    wall_seconds
        Duration of the run, including the host's float computations before and after it.
    cycles
        Cycles from doorbell to interrupt, None if the backend has no clock.
    counters
        ``counters[unit][cause]`` in cycles; for each unit and for FETCH they sum to ``cycles``.
    words_read
        Bus beats.
    words_written
        Bus beats.
    host_seconds
        The host's share of ``wall_seconds``.
    """

    backend: str
    macs: int
    multipliers: int
    wall_seconds: float
    cycles: int | None = None
    counters: dict[str, dict[str, int]] | None = None
    words_read: int | None = None
    words_written: int | None = None
    host_seconds: float = 0.0

    @property
    def utilization(self) -> float | None:
        """Ratio of the graph's multiply-accumulates to those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles) if self.cycles else None

    @property
    def cycles_per_second(self) -> float | None:
        """Simulated cycles per second of the run."""
        return self.cycles / (self.wall_seconds - self.host_seconds) if self.cycles else None

    @property
    def macs_per_second(self) -> float:
        """Multiply-accumulates per second of the run."""
        return self.macs / self.wall_seconds if self.wall_seconds else 0.0

    def with_host(self, seconds: float) -> "RunReport":
        """The report with the host's computing time added."""
        return replace(self, wall_seconds=self.wall_seconds + seconds, host_seconds=self.host_seconds + seconds)

    def figures(self) -> dict[str, Any]:
        """The figures under their names in ``--json``."""
        return {"cycles": self.cycles, "macs": self.macs, "utilization": self.utilization,
                "wall_seconds": self.wall_seconds, "cycles_per_second": self.cycles_per_second,
                "macs_per_second": self.macs_per_second}


def total(reports: list[RunReport]) -> RunReport:
    """The sum of several runs."""
    first = reports[0]
    cycles = None if first.cycles is None else sum(r.cycles or 0 for r in reports)
    counters = first.counters and {
        unit: {cause: sum(r.counters[unit][cause] for r in reports if r.counters) for cause in causes}
        for unit, causes in first.counters.items()}
    return RunReport(first.backend, sum(r.macs for r in reports), first.multipliers,
                     sum(r.wall_seconds for r in reports), cycles, counters,
                     None if first.words_read is None else sum(r.words_read or 0 for r in reports),
                     None if first.words_written is None else sum(r.words_written or 0 for r in reports),
                     sum(r.host_seconds for r in reports))


class Stopwatch:
    """Adds up the seconds within its contexts."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._begin = 0.0

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.seconds += time.perf_counter() - self._begin


@dataclass(frozen=True)
class Snapshot:
    """The progress of a run at one moment.

    Attributes
    ----------
    done
        Number of completed instructions.
    count
        Number of all instructions.
    layer
        Layer of the oldest incomplete instruction; empty if it belongs to none.
    share
        Fraction of the work that is done, 0 to 1.
    cycles
        Cycles since the run began, None if the backend has no clock.
    """

    done: int
    count: int
    layer: str
    share: float
    cycles: int | None = None


Progress = Callable[[Snapshot], None]
"""Called with the progress of a run."""


class ProgressModel:
    """Computes the progress of a run of ``program`` from the number of instructions completed by each unit.

    The share is the fraction of the array's cycles, which are known exactly and dominate a run; for a program
    without convolutions it is the fraction of instructions.

    Attributes
    ----------
    layers
        Each instruction's layer, as ``layers_of`` gives them.
    instructions
        Each unit's instructions in order, as indices in the program.
    """

    def __init__(self, program: Program) -> None:
        self.layers = layers_of(program)
        listed = list(program)
        self.instructions = {unit: [index for index, one in enumerate(listed) if one.UNIT is unit]
                             for unit in program.configuration.units}
        work = [one.height * one.width * one.tiles for one in listed if isinstance(one, Convolve)]
        self._work_until = np.concatenate([[0], np.cumsum(work)])

    def snapshot(self, retired: Mapping[Unit, int], cycles: int) -> Snapshot:
        """The run after ``cycles``, when each unit has completed the first ``retired[unit]`` of its instructions."""
        ahead = [own[retired[unit]] for unit, own in self.instructions.items() if retired[unit] < len(own)]
        done, count = sum(retired.values()), len(self.layers)
        total = int(self._work_until[-1])
        share = int(self._work_until[retired[Unit.ARRAY]]) / total if total else done / count
        return Snapshot(done, count, self.layers[min(ahead)] if ahead else "", share, cycles)


def layers_of(program: Program) -> list[str]:
    """The layer name of each instruction; the first if several layers share it, empty if none does."""
    names = [""] * len(program)
    for layer in reversed(program.layers):
        for index in layer.instructions:
            names[index] = layer.name
    return names
