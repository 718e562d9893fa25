"""Errors of models: their networks, weights, quantization and heads."""

from arrayloom.isa.errors import ArrayloomError


class NetworkError(ArrayloomError):
    """A network, or what was asked of it, that does not exist or does not fit."""


class WeightsError(NetworkError):
    """Weights that cannot be read, or that do not fit the network; names the parameter and both shapes."""


class QuantizeError(ArrayloomError):
    """A network cannot be quantized, or the calibration does not fit it; names the thing, the reason and the remedy."""


class HeadError(ArrayloomError):
    """Features, labels or a head that cannot be used or do not fit each other."""
