"""Errors of messages."""

from arrayloom.isa.errors import ArrayloomError


class MessageError(ArrayloomError):
    """A tensor in a message that cannot be what it claims; names the tensor's field, what it holds and what is wanted."""
