"""Errors of the networks."""

from arrayloom.isa.errors import ArrayloomError


class NetworkError(ArrayloomError):
    """A network, or what was asked of it, that does not exist or does not fit."""


class WeightsError(NetworkError):
    """Weights that cannot be read, or that do not fit the network; names the parameter and both shapes."""
