"""Errors of profile, exploration and synthesis."""

from arrayloom.isa.errors import ArrayloomError


class ProfileError(ArrayloomError):
    """The measurements of a run contradict each other, or the run cannot be profiled."""


class SynthesisError(ArrayloomError):
    """A tool is missing or failed, or the design does not fit the device."""
