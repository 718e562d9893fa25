"""The ATTENTION unit: weights out of the scratchpad, turned squares, softmax and layer normalization."""

from arrayloom.hdl.attention.unit import AttentionUnit

__all__ = ["AttentionUnit"]
