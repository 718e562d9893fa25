"""The ARRAY unit: everything between the activation memory, the weight FIFO and the POST unit's accumulator reads."""

from arrayloom.hdl.array.unit import ArrayUnit

__all__ = ["ArrayUnit"]
