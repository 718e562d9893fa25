"""The simulated memory: its timing, its traffic, and how it may violate the bus protocol."""

import enum
from dataclasses import dataclass

from arrayloom.sim.rtl.errors import SimulationError

TIMING_LIMITS = {"latency": (1, 1 << 20), "outstanding": (1, 256), "beat_interval": (1, 1 << 20),
                 "stall_percent": (0, 99), "seed": (0, (1 << 64) - 1)}


class Breach(enum.IntEnum):
    """Violations of the bus protocol by the memory, in the order of sim/rtl/harness/breach.h."""

    NONE = 0
    EARLY_LAST = 1
    MISSING_LAST = 2
    STRANGE_READ = 3        # a word for a reader that does not exist
    DOUBLED_BEAT = 4
    LOST_BEAT = 5
    STRANGE_ANSWER = 6      # a response to a write burst that does not exist
    DOUBLED_ANSWER = 7
    LOST_ANSWER = 8


@dataclass(frozen=True)
class Timing:
    """Timing of the memory in clock cycles. The default is the model used for Arrayloom's figures.

    Attributes
    ----------
    latency
        From an accepted address to its first beat, and from the last write beat to the response.
    outstanding
        Bursts accepted but not yet answered, for each direction: 1 to 256.
    beat_interval
        From one beat to the next, for each direction: at least 1.
    stall_percent
        Chance in percent, in each cycle, that a ready or a new valid is delayed: 0 to 99.
    seed
        Seed of the generator that draws the stalls.
    """

    latency: int = 64
    outstanding: int = 16
    beat_interval: int = 1
    stall_percent: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in TIMING_LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SimulationError(f"memory timing {name} = {value}: must be from {low} to {high}")


@dataclass(frozen=True)
class Statistics:
    """Traffic since the simulator was made. Busy: cycles in which a burst of that direction was outstanding."""

    read_bursts: int
    read_beats: int
    read_busy_cycles: int
    write_bursts: int
    write_beats: int
    write_busy_cycles: int
