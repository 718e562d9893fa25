"""What one run of a program cost."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunReport:
    """``cycles`` from doorbell to interrupt, None where the backend has no clock; ``wall_seconds`` of the run alone.

    ``counters[unit][cause]``: cycles; they sum to ``cycles`` for each unit and for FETCH. ``words_read``,
    ``words_written``: bus beats.
    """

    backend: str
    macs: int
    multipliers: int
    wall_seconds: float
    cycles: int | None = None
    counters: dict[str, dict[str, int]] | None = None
    words_read: int | None = None
    words_written: int | None = None

    @property
    def utilization(self) -> float | None:
        """Multiply-accumulates of the graph over those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles) if self.cycles else None

    @property
    def cycles_per_second(self) -> float | None:
        return self.cycles / self.wall_seconds if self.cycles else None

    @property
    def macs_per_second(self) -> float:
        return self.macs / self.wall_seconds if self.wall_seconds else 0.0

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
                     None if first.words_written is None else sum(r.words_written or 0 for r in reports))
