"""Errors of the networks."""

from isa.errors import WeftError


class NetworkError(WeftError):
    """A network, or what was asked of it, that does not exist or does not fit."""


class WeightsError(NetworkError):
    """Weights that cannot be read, or that do not fit the network; names the parameter and both shapes."""
