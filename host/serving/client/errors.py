"""Errors of clients."""

from arrayloom.isa.errors import ArrayloomError


class ClientError(ArrayloomError):
    """A request that was not answered. ``code``: gRPC's name of the status, such as ``INVALID_ARGUMENT``; empty where the
    request never left."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code
