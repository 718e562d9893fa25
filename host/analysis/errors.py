"""What can go wrong with a synthesis."""

from arrayloom.isa.errors import ArrayloomError


class SynthesisError(ArrayloomError):
    """A tool is missing, or refused the design: it does not fit the device, or the tool failed."""
