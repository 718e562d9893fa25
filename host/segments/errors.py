"""What can go wrong when a program is cut into segments."""

from arrayloom.isa.errors import ArrayloomError


class SegmentError(ArrayloomError):
    """A program that cannot be cut as asked, or segments that do not fit each other; names places and reason."""
