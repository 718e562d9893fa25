"""What can go wrong with a synthesis."""

from isa.errors import WeftError


class SynthesisError(WeftError):
    """A tool is missing, or refused the design: it does not fit the device, or the tool failed."""
