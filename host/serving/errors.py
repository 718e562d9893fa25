"""What can go wrong in serving: bundles, the start of a service, its requests, the tensors in them, and its clients."""

from enum import Enum

from arrayloom.isa.errors import ArrayloomError


class BundleError(ArrayloomError):
    """A bundle is damaged, incomplete or of another format; the text names the folder and the field or file."""


class ServeError(ArrayloomError):
    """A service cannot start because of settings, files or ports; the text names the setting and the remedy."""


class Kind(Enum):
    """A kind of failure: the name of the gRPC status code, and the HTTP status."""

    INVALID = ("INVALID_ARGUMENT", 400)
    UNAUTHENTICATED = ("UNAUTHENTICATED", 401)
    FORBIDDEN = ("PERMISSION_DENIED", 403)
    NOT_FOUND = ("NOT_FOUND", 404)
    SLOW = ("DEADLINE_EXCEEDED", 408)
    MEDIA_TYPE = ("INVALID_ARGUMENT", 415)
    FULL = ("RESOURCE_EXHAUSTED", 503)
    UNAVAILABLE = ("UNAVAILABLE", 503)
    DEADLINE = ("DEADLINE_EXCEEDED", 504)
    INTERNAL = ("INTERNAL", 500)

    @property
    def grpc(self) -> str:
        return self.value[0]

    @property
    def http(self) -> int:
        return self.value[1]


class ServiceError(ArrayloomError):
    """A request is refused; the text names what is wrong and what would be valid."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class MessageError(ArrayloomError):
    """A tensor in a message contradicts itself; the text names the field, its content and what is expected."""


class ClientError(ArrayloomError):
    """A request that was not answered. ``code``: the name of the gRPC status, such as ``INVALID_ARGUMENT``; empty if the
    request was never sent."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ReplicaLostError(Exception):
    """A replica's process ended, or was ended for taking too long; the text says which. Stays inside the service."""


class RunTooLongError(ReplicaLostError):
    """One run took longer than the device may."""


class ClosedError(Exception):
    """The connection between a service and its replica is closed."""


class CancelledError(Exception):
    """A run was cancelled by the service: its request timed out or its client left."""


class SchemaError(ValueError):
    """The reader does not understand a protocol's ``.proto`` file."""
