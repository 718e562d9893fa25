"""Latencies of the array's steps in cycles, and values derived from their sums."""

from dataclasses import dataclass

from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.hdl.weight_fifo import WEIGHT_LATENCY
from arrayloom.isa.config import Config

TAKE = 1            # from the cycle that takes a step to the one that generates its first pixel
REQUEST = 1         # from there to the request on the scratchpad's port
WORD_REGISTER = 1   # between the scratchpad's banks and the array, which are far apart on a chip
WEIGHT_REGISTERS = 2    # from the weight FIFO's word to the array
ACTIVATION = 1      # from a row stage's input to the register that multiplies
MULTIPLY = 1        # from there to the products
ADD = 1             # from there to the partial sum
SUM_READ = 1        # reading the sums accumulated so far
SUM_HELD = 1        # in the memory's output register
ACCUMULATE = 1      # adding to it
SUM_WRITE = 1       # writing it back

WORD = REQUEST + MEMORY_LATENCY + WORD_REGISTER     # from the generation of a pixel to its word at the array
UPDATE = SUM_READ + SUM_HELD + ACCUMULATE + SUM_WRITE  # after this the same sum can be read again
LOAD = WEIGHT_LATENCY + WEIGHT_REGISTERS     # from reading a row of weights to writing it into the shadow plane


@dataclass(frozen=True)
class Timing:
    """Latencies that depend on the shape of the array, in cycles.

    Parameters
    ----------
    config : Config
    """

    config: Config

    @property
    def row_stages(self) -> int:
        """Partial-sum registers on the way down a column."""
        return self.config.size // self.config.row_stage

    @property
    def column_groups(self) -> int:
        """Activation registers on the way along a row."""
        return self.config.size // self.config.column_stage

    @property
    def sums(self) -> int:
        """From a word at the array to its sums in the first column group; each further group is one cycle later."""
        return ACTIVATION + MULTIPLY + (self.row_stages - 1) + ADD

    @property
    def tag(self) -> int:
        """From a word at the array to the read of the first group's accumulators, selected together with the sums."""
        return self.sums - SUM_READ - SUM_HELD

    @property
    def ready(self) -> int:
        """From the first row read of a tile to the earliest cycle that may take a step which multiplies with it.

        The swap of row stage k happens TAKE + WORD + k cycles after the step is taken; that stage's last row is in the
        shadow plane LOAD + (k + 1) * row_stage cycles after the tile is begun, so the last stage determines the value. It is
        at least one cycle, in which the sequencer sees it, and long enough that no step is shorter than ``UPDATE``.
        """
        last_written = LOAD + self.config.size
        return max(1, last_written - (self.row_stages - 1) - TAKE - WORD, UPDATE - self.reload)

    @property
    def reload(self) -> int:
        """From a step being taken to the first row read of the next tile, so that it is written after the swap."""
        return TAKE + WORD - LOAD
