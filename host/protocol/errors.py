"""Errors of messages."""

from isa.errors import WeftError


class MessageError(WeftError):
    """A tensor in a message that cannot be what it claims; names the tensor's field, what it holds and what is wanted."""
