"""What can go wrong in serving: bundles, the start of a service, its requests, the tensors in them, and its clients."""

from enum import Enum

from arrayloom.isa.errors import ArrayloomError


class BundleError(ArrayloomError):
    """A bundle that is damaged, incomplete or of another format; names the folder and the field or file."""


class ServeError(ArrayloomError):
    """A service that cannot start: settings, files or ports; names the setting and the remedy."""


class Kind(Enum):
    """A kind of failure: gRPC's name of the status code, and HTTP's number."""

    INVALID = ("INVALID_ARGUMENT", 400)
    UNAUTHENTICATED = ("UNAUTHENTICATED", 401)
    FORBIDDEN = ("PERMISSION_DENIED", 403)
    NOT_FOUND = ("NOT_FOUND", 404)
    SLOW = ("DEADLINE_EXCEEDED", 408)
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
    """A request that is not answered; the text names what was wrong and what would be valid."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class MessageError(ArrayloomError):
    """A tensor in a message that cannot be what it claims; names the tensor's field, what it holds and what is wanted."""


class ClientError(ArrayloomError):
    """A request that was not answered. ``code``: gRPC's name of the status, such as ``INVALID_ARGUMENT``; empty where the
    request never left."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ReplicaLostError(Exception):
    """A replica's process ended, or was ended because it took too long; the text says which. Never leaves the service."""


class RunTooLongError(ReplicaLostError):
    """One run took longer than the device may."""


class ClosedError(Exception):
    """The other side of a service's connection to its replica is gone."""


class CancelledError(Exception):
    """A run that the service wants no more, since its request's time is over or its client has gone."""


class SchemaError(ValueError):
    """A ``.proto`` file of a protocol that the reader does not understand."""
