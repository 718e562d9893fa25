"""The roofline model: which of array and bus limits a layer.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model (CACM 52:4, 2009); here in
multiply-accumulates and cycles, so that no clock is assumed.
"""

from dataclasses import dataclass

from arrayloom.host.analysis.profile.traffic import Traffic
from arrayloom.isa.config import Config


@dataclass(frozen=True)
class Roofline:
    """Two ceilings: ``multipliers`` multiply-accumulates a cycle, and ``bus`` bytes a cycle in each direction."""

    multipliers: int
    bus: int

    @classmethod
    def of(cls, config: Config) -> "Roofline":
        return cls(config.multipliers, config.size)

    @property
    def ridge(self) -> float:
        """The intensity from which on the array is what limits."""
        return self.multipliers / self.bus

    def intensity(self, macs: int, read: int, written: int) -> float | None:
        """Multiply-accumulates for each byte of the busier direction, as both move at once; None without either."""
        busier = max(read, written)
        return macs / busier if macs and busier else None

    def of_traffic(self, macs: int, traffic: Traffic) -> float | None:
        return self.intensity(macs, traffic.read, traffic.written)

    def ceiling(self, intensity: float) -> float:
        """The most multiply-accumulates a cycle at that intensity."""
        return min(float(self.multipliers), intensity * self.bus)

    def bound(self, intensity: float | None) -> str | None:
        """``array`` or ``bus``; None for what has no intensity."""
        if intensity is None:
            return None
        return "array" if intensity >= self.ridge else "bus"
