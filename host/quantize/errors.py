"""Errors of quantization."""

from isa.errors import WeftError


class QuantizeError(WeftError):
    """A network cannot be quantized, or the calibration does not fit it; names the thing, the reason and the remedy."""
