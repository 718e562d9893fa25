"""What the cost model says of a program."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCycles:
    """The cycles from the first to the last pixel that the array takes in a layer's range of instructions."""

    name: str
    operator: str
    first: int
    last: int


@dataclass(frozen=True)
class Prediction:
    """Cycles of one run, counted as the hardware's CYCLES register counts them.

    ``busy``: by unit, cycles in which it computes or transfers; those of LOAD and ARRAY are exact. ``words_read`` and
    ``words_written``: on the bus, with what FETCH reads ahead. ``layers``: those for which the array works.
    """

    cycles: int
    macs: int
    multipliers: int
    busy: dict[str, int]
    words_read: int
    words_written: int
    layers: tuple[LayerCycles, ...]

    @property
    def utilization(self) -> float:
        """Multiply-accumulates of the graph over those that the array could have done."""
        return self.macs / (self.multipliers * self.cycles)

    def milliseconds(self, megahertz: float) -> float:
        """The time of one run at that clock."""
        return self.cycles / (1000 * megahertz)
