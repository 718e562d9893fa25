"""Deleting: one entry if nothing depends on it, or everything made from it in the right order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arrayloom.host.workspace import entries, lineage
from arrayloom.host.workspace.entries import Entry
from arrayloom.host.workspace.errors import InUseError, NotFoundError

if TYPE_CHECKING:
    from arrayloom.host.workspace.workspace import Workspace


def delete(workspace: Workspace, entry: Entry) -> tuple[str, ...]:
    """Deletes one entry; raises ``InUseError`` with what depends on it, ``NotFoundError`` when it is gone already."""
    _end(workspace, entry)
    _settle(workspace, entry)
    with workspace.database.write() as connection:
        current = entries.get(connection, entry.id)
        if dependents := lineage.dependents(connection, current):
            raise InUseError(current.reference, [other.reference for other in dependents])
        connection.execute("DELETE FROM entries WHERE id = ?", (entry.id,))
    workspace.discard(current)
    return (current.reference,)


def delete_all(workspace: Workspace, entry: Entry) -> tuple[str, ...]:
    """Deletes an entry and all that was made from it: operations are cancelled, then services, images, models."""
    with workspace.database.read() as connection:
        made = lineage.descendants(connection, entry)
    before = [other for other in made if other.kind != "model"]
    after = [other for other in reversed(made) if other.kind == "model"]
    deleted: list[str] = []
    for other in [*before, entry, *after]:
        try:
            deleted += delete(workspace, other)
        except NotFoundError:
            if other is entry:
                raise
    return tuple(deleted)


def _settle(workspace: Workspace, entry: Entry) -> None:
    """Operations whose process was killed keep nothing: their state is found out by looking."""
    from arrayloom.host.workspace.operation import Operation

    with workspace.database.read() as connection:
        found = [other for other in lineage.dependents(connection, entry) if other.kind == "operation"]
    for other in found:
        _ = Operation.of(workspace, other).status


def _end(workspace: Workspace, entry: Entry) -> None:
    """Stops the process that an operation, an image in the making or a service has."""
    if entry.kind == "operation":
        from arrayloom.host.workspace.operation import Operation

        Operation.of(workspace, entry).cancel()
    if entry.kind == "image":
        from arrayloom.host.workspace.image import Image

        if building := Image.of(workspace, entry).operation:
            building.cancel()
    if entry.kind == "service":
        from arrayloom.host.workspace.webservice import Webservice

        Webservice.of(workspace, entry).stop()
