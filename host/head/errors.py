"""Errors of heads."""

from isa.errors import WeftError


class HeadError(WeftError):
    """Features, labels or a head that cannot be used or do not fit each other."""
