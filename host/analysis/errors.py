"""Errors of the analysis of what the hardware does and costs."""

from arrayloom.isa.errors import ArrayloomError


class ProfileError(ArrayloomError):
    """Measurements of one run that contradict each other, or a run that cannot be profiled."""


class SynthesisError(ArrayloomError):
    """A tool is missing, or refused the design: it does not fit the device, or the tool failed."""
