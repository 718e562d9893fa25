"""Errors of the workspace, each with the HTTP status that the original service answered with."""

from collections.abc import Sequence

from arrayloom.compiler.errors import Unsupported
from arrayloom.isa.errors import ArrayloomError


class WorkspaceError(ArrayloomError):
    """Base class of errors in a workspace; ``status`` is the HTTP status of the same fault in the original service."""

    status = 400


class NotFoundError(WorkspaceError):
    """No workspace, model, image, service or operation of that name and version."""

    status = 404


class ExistsError(WorkspaceError):
    """The name is taken."""

    status = 409


class InUseError(WorkspaceError):
    """An artifact cannot be deleted, since others depend on it.

    Attributes
    ----------
    target : str
        The artifact to delete, as ``kind name:version``.
    dependents : tuple[str, ...]
        The dependent artifacts, in the order in which they must be deleted.
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
        Every node that could not be compiled, if that is the reason.
    """

    def __init__(self, message: str, nodes: Sequence[Unsupported] = ()) -> None:
        self.nodes = tuple(nodes)
        super().__init__(message)


class DamagedError(WorkspaceError):
    """A file of the workspace is missing or is not what was registered."""

    status = 500


class DiskFullError(WorkspaceError):
    """The disk is full: nothing can be written, but existing data can still be read."""

    status = 507

    def __init__(self, path: object) -> None:
        super().__init__(f"{path}: the disk is full; free some of it and try again")


class BusyError(WorkspaceError):
    """Another process holds the registry's lock for too long."""

    status = 503


class OvertakenError(Exception):
    """An operation was cancelled or timed out while its result was ready to be published. Never leaves its process."""
