"""What is known of a run: how far it is while it goes on, and what it cost in the end."""

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
    """What one run of a program cost.

    Attributes:
        backend: the device's name.
        macs: multiply-accumulates of the graph.
        multipliers: of the accelerator.
        wall_seconds: of the run alone, with what the host computes in float before and after it.
        cycles: from doorbell to interrupt, None where the backend has no clock.
        counters: ``counters[unit][cause]`` in cycles, which sum to ``cycles`` for each unit and for FETCH.
        words_read: bus beats.
        words_written: bus beats.
        host_seconds: the host's share of ``wall_seconds``.
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
        """Multiply-accumulates of the graph over those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles) if self.cycles else None

    @property
    def cycles_per_second(self) -> float | None:
        """Simulated cycles in a second of the run."""
        return self.cycles / (self.wall_seconds - self.host_seconds) if self.cycles else None

    @property
    def macs_per_second(self) -> float:
        """Multiply-accumulates in a second of the run."""
        return self.macs / self.wall_seconds if self.wall_seconds else 0.0

    def with_host(self, seconds: float) -> "RunReport":
        """The report of a run around which the host has computed so long."""
        return replace(self, wall_seconds=self.wall_seconds + seconds, host_seconds=self.host_seconds + seconds)

    def figures(self) -> dict[str, Any]:
        """The figures under the names that ``--json`` gives them."""
        return {"cycles": self.cycles, "macs": self.macs, "utilization": self.utilization,
                "wall_seconds": self.wall_seconds, "cycles_per_second": self.cycles_per_second,
                "macs_per_second": self.macs_per_second}


def total(reports: list[RunReport]) -> RunReport:
    """Several runs as one."""
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
    """How far a run is at one moment.

    Attributes:
        done: instructions that are complete.
        count: instructions in all.
        layer: of the oldest instruction that is not complete; empty where it belongs to none.
        share: of the work that is done, 0 to 1.
        cycles: since the run began, None where the backend has no clock.
    """

    done: int
    count: int
    layer: str
    share: float
    cycles: int | None = None


Progress = Callable[[Snapshot], None]
"""Called with how far a run is, while it goes on."""


class ProgressModel:
    """Says how far a run of ``program`` is from the number of instructions that each unit has completed.

    The share of the work is that of the array's cycles, which are known exactly and make up nearly all of a run; for a
    program without convolutions it is that of the instructions.

    Attributes:
        layers: each instruction's layer, as ``layers_of`` gives them.
        instructions: each unit's instructions in order, as indices in the program.
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
    """For each instruction the name of its layer; the first, where several share it; empty where none has it."""
    names = [""] * len(program)
    for layer in reversed(program.layers):
        for index in layer.instructions:
            names[index] = layer.name
    return names
