"""Errors of models: their networks, weights, quantization and heads."""

from arrayloom.isa.errors import ArrayloomError


class NetworkError(ArrayloomError):
    """A network does not exist, or a request does not fit it."""


class WeightsError(NetworkError):
    """Weights cannot be read or do not fit the network; the text names the parameter and both shapes."""


class QuantizeError(ArrayloomError):
    """A network cannot be quantized, or the calibration does not fit it; the text names the cause and the remedy."""


class HeadError(ArrayloomError):
    """Features, labels or a head are unusable or do not fit each other."""
