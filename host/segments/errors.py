"""What can go wrong when a program is cut into segments."""

from arrayloom.isa.errors import ArrayloomError


class SegmentError(ArrayloomError):
    """A program cannot be cut as requested, or segments do not fit together; the text names places and reason."""
