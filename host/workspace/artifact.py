"""What models, images and services have in common: identity, labels, lineage, deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from arrayloom.host.workspace import entries, lineage
from arrayloom.host.workspace.entries import Entry, Filter, Parent
from arrayloom.host.workspace.errors import WorkspaceError

if TYPE_CHECKING:
    from pathlib import Path

    from arrayloom.host.workspace.workspace import Workspace


class Artifact:
    """One entry of a workspace's registry, as it was when it was read; ``refresh`` reads it again."""

    KIND: ClassVar[str]

    def __init__(self, workspace: Workspace, name: str, version: int | None = None) -> None:
        with workspace.database.read() as connection:
            entry = entries.find(connection, self.KIND, name, version)
        self._bind(workspace, entry)

    def _bind(self, workspace: Workspace, entry: Entry) -> None:
        self.workspace, self.entry = workspace, entry

    @classmethod
    def of(cls, workspace: Workspace, entry: Entry) -> Self:
        """The object for an entry that has been read."""
        artifact = cls.__new__(cls)
        artifact._bind(workspace, entry)
        return artifact

    @classmethod
    def list(cls, workspace: Workspace, name: str | None = None, tags: Sequence[Filter] = (),
             properties: Sequence[Filter] = (), latest: bool = False) -> list[Self]:
        """Newest first, by name, tags and properties: each filter a key, or [key, value]; all must hold.

        ``latest`` keeps the highest version of each name.
        """
        with workspace.database.read() as connection:
            found = entries.search(connection, cls.KIND, name, tags, properties, latest)
        return [cls.of(workspace, entry) for entry in found]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def version(self) -> int:
        return self.entry.version

    @property
    def id(self) -> str:
        """``NAME:VERSION``."""
        return f"{self.name}:{self.version}"

    @property
    def description(self) -> str:
        return self.entry.description

    @property
    def tags(self) -> dict[str, str]:
        return self.entry.tags

    @property
    def properties(self) -> dict[str, str]:
        return self.entry.properties

    @property
    def parents(self) -> tuple[Parent, ...]:
        """What this was made from; it may have been deleted since."""
        return self.entry.parents

    @property
    def sha256(self) -> str | None:
        return self.entry.sha256

    @property
    def created_time(self) -> datetime:
        return datetime.fromtimestamp(self.entry.created, UTC)

    @property
    def path(self) -> Path:
        """The file or folder in the workspace."""
        if self.entry.path is None:
            raise WorkspaceError(f"{self.entry.reference} has no files; its state is {self.entry.state}")
        return self.workspace.path / self.entry.path

    def refresh(self) -> Self:
        """Reads the entry again; raises ``NotFoundError`` when it has been deleted."""
        with self.workspace.database.read() as connection:
            self.entry = entries.get(connection, self.entry.id)
        return self

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Adds tags, or gives them new values."""
        with self.workspace.database.write() as connection:
            entries.put_labels(connection, self.entry.id, "tag", tags)
        self.refresh()

    def remove_tags(self, keys: Sequence[str]) -> None:
        """Removes tags; raises ``WorkspaceError`` for one that is not there."""
        for key in keys:
            if key not in self.tags:
                raise WorkspaceError(f"{self.entry.reference} has no tag {key!r}; it has {', '.join(self.tags) or 'none'}")
        with self.workspace.database.write() as connection:
            for key in keys:
                entries.drop_tag(connection, self.entry.id, key)
        self.refresh()

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Adds properties, which never change afterwards; raises ``WorkspaceError`` for one that is there."""
        with self.workspace.database.write() as connection:
            current = entries.get(connection, self.entry.id).properties
            if taken := sorted(set(properties) & set(current)):
                raise WorkspaceError(f"{self.entry.reference} has the property {taken[0]!r} already, and properties do not "
                                     "change; use a tag for what does")
            entries.put_labels(connection, self.entry.id, "property", properties)
        self.refresh()

    def dependents(self) -> tuple[str, ...]:
        """What has to be deleted before this, in that order, as ``kind name:version``."""
        with self.workspace.database.read() as connection:
            return tuple(entry.reference for entry in lineage.dependents(connection, self.entry))

    def delete(self, cascade: bool = False) -> tuple[str, ...]:
        """Deletes the entry and its files; returns what was deleted, in order.

        ``cascade`` deletes what was made from it as well, in order: services, images, this, converted models.

        Raises:
            InUseError: something depends on it, and not ``cascade``.
        """
        from arrayloom.host.workspace.deletion import delete, delete_all

        return delete_all(self.workspace, self.entry) if cascade else delete(self.workspace, self.entry)

    def serialize(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"kind": self.KIND, "name": self.name, "version": self.version, "id": self.id, "state": self.entry.state,
                "description": self.description, "created": self.created_time.isoformat(timespec="seconds"),
                "tags": self.tags, "properties": self.properties, "sha256": self.sha256, "bytes": self.entry.bytes,
                "parents": [vars(parent) for parent in self.parents]}

