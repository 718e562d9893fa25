"""The ARRAY unit: everything between the scratchpad, the weight FIFO and the POST unit's accumulator reads."""

from arrayloom.hdl.array.unit import ArrayUnit

__all__ = ["ArrayUnit"]
