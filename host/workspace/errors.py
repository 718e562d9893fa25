"""Errors of the workspace, each with the HTTP status that the original service answered with."""

from collections.abc import Sequence

from arrayloom.compiler.errors import Unsupported
from arrayloom.isa.errors import ArrayloomError


class WorkspaceError(ArrayloomError):
    """Something in a workspace is not as it must be; ``status`` is the HTTP status of the same fault on the wire."""

    status = 400


class NotFoundError(WorkspaceError):
    """No workspace, model, image, service or operation of that name and version."""

    status = 404


class ExistsError(WorkspaceError):
    """The name is taken."""

    status = 409


class InUseError(WorkspaceError):
    """Something that others depend on cannot be deleted.

    Attributes
    ----------
    target : str
        What was to be deleted, as ``kind name:version``.
    dependents : tuple[str, ...]
        What depends on it, in the order in which it has to be deleted.
    """

    status = 412

    def __init__(self, target: str, dependents: Sequence[str]) -> None:
        self.target, self.dependents = target, tuple(dependents)
        lines = [f"{target} cannot be deleted, it is in use; delete these first, in this order, or delete with cascade:",
                 *(f"  {dependent}" for dependent in self.dependents)]
        super().__init__("\n".join(lines))


class OperationError(WorkspaceError):
    """An operation did not succeed.

    Attributes
    ----------
    nodes : tuple[Unsupported, ...]
        Every node that could not be compiled, where that is why.
    """

    def __init__(self, message: str, nodes: Sequence[Unsupported] = ()) -> None:
        self.nodes = tuple(nodes)
        super().__init__(message)


class DamagedError(WorkspaceError):
    """A file of the workspace is missing or is not what was registered."""

    status = 500


class DiskFullError(WorkspaceError):
    """There is no room for what is to be written; what is there can still be read."""

    status = 507

    def __init__(self, path: object) -> None:
        super().__init__(f"{path}: the disk is full; free some of it and try again")


class BusyError(WorkspaceError):
    """Another process holds the registry longer than anyone should."""

    status = 503


class OvertakenError(Exception):
    """An operation was cancelled or timed out while its result was ready to be published. Never leaves its process."""
