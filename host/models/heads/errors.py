"""Errors of heads."""

from arrayloom.isa.errors import ArrayloomError


class HeadError(ArrayloomError):
    """Features, labels or a head that cannot be used or do not fit each other."""
