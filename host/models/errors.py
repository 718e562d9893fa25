"""Errors of quantization."""

from arrayloom.isa.errors import ArrayloomError


class QuantizeError(ArrayloomError):
    """A network cannot be quantized, or the calibration does not fit it; names the thing, the reason and the remedy."""
