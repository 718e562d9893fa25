"""What can go wrong with the RTL simulation."""

from arrayloom.isa.errors import ArrayloomError


class ToolError(ArrayloomError):
    """A program or package needed for a build is missing or does not run."""


class BuildError(ArrayloomError):
    """The simulator could not be built: a tool refused its input, or the cache folder cannot be used."""


class SimulationError(ArrayloomError):
    """The simulated accelerator violated the bus protocol, failed an assertion or did not answer, or was used wrongly."""
