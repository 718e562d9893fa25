"""What models, images, services and operations have in common: identity, labels, lineage, deletion.

Each kind is a subclass that defines how its process is ended. A row's kind determines its class, so one artifact can be
deleted together with others of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Entry, Filter, Parent
from arrayloom.host.workspace.errors import InUseError, NotFoundError, WorkspaceError
from arrayloom.host.workspace.registry import Registry


class Artifact:
    """One entry of a workspace's registry, as of its last read; ``refresh`` reads it again."""

    KIND: ClassVar[str]
    kinds: ClassVar[dict[str, type[Artifact]]] = {}
    """The subclasses by ``KIND``."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        Artifact.kinds[cls.KIND] = cls

    def __init__(self, workspace: Registry, name: str, version: int | None = None) -> None:
        with workspace.database.read() as connection:
            entry = entries.find(connection, self.KIND, name, version)
        self._bind(workspace, entry)

    def _bind(self, workspace: Registry, entry: Entry) -> None:
        self.workspace, self.entry = workspace, entry

    @classmethod
    def of(cls, workspace: Registry, entry: Entry) -> Self:
        """Wraps an entry that has been read."""
        artifact = cls.__new__(cls)
        artifact._bind(workspace, entry)
        return artifact

    @classmethod
    def list(cls, workspace: Registry, name: str | None = None, tags: Sequence[Filter] = (),
             properties: Sequence[Filter] = (), latest: bool = False) -> list[Self]:
        """Lists artifacts, newest first, filtered by name, tags and properties. Each filter is a key or [key, value]; all
        must match.

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
        """What this was made from; the originals may have been deleted since."""
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
        """Reads the entry again; raises ``NotFoundError`` if it has been deleted."""
        with self.workspace.database.read() as connection:
            self.entry = entries.get(connection, self.entry.id)
        return self

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Adds tags or changes their values."""
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
                                     "change; use a tag for a value that changes")
            entries.put_labels(connection, self.entry.id, "property", properties)
        self.refresh()

    def dependents(self) -> tuple[str, ...]:
        """The artifacts that must be deleted before this one, in order, as ``kind name:version``."""
        with self.workspace.database.read() as connection:
            return tuple(entry.reference for entry in entries.dependents(connection, self.entry))

    def delete(self, cascade: bool = False, on_progress: Callable[[int, int], None] | None = None) -> tuple[str, ...]:
        """Deletes the entry and its files; returns what was deleted, in order.

        ``cascade`` also deletes what was made from it, in order: services, images, this, converted models. A service first
        finishes its requests, which may take a while; ``on_progress`` is called with the number deleted and the total.

        Raises
        ------
        InUseError
            Something depends on it, and ``cascade`` is false.
        """
        return self._delete_with_descendants(on_progress) if cascade else self._delete_alone()

    def end_process(self) -> None:
        """Ends its process, if there is one."""

    def settle(self) -> None:
        """Updates the entry if its process was killed before it could do so itself."""

    def _delete_alone(self) -> tuple[str, ...]:
        self.end_process()
        with self.workspace.database.read() as connection:
            found = entries.dependents(connection, self.entry)
        for dependent in found:
            artifact(self.workspace, dependent).settle()
        with self.workspace.database.write() as connection:
            current = entries.get(connection, self.entry.id)
            if dependents := entries.dependents(connection, current):
                raise InUseError(current.reference, [other.reference for other in dependents])
            entries.delete(connection, current.id)
        self.workspace.discard(current)
        return (current.reference,)

    def _delete_with_descendants(self, on_progress: Callable[[int, int], None] | None) -> tuple[str, ...]:
        """Cancels operations, then deletes services and images, then this, then the models made from it."""
        with self.workspace.database.read() as connection:
            made = [artifact(self.workspace, entry) for entry in entries.descendants(connection, self.entry)]
        before = [other for other in made if other.entry.kind != "model"]
        after = [other for other in reversed(made) if other.entry.kind == "model"]
        deleted: list[str] = []
        for number, other in enumerate([*before, self, *after]):
            if on_progress:
                on_progress(number, len(made) + 1)
            try:
                deleted += other._delete_alone()
            except NotFoundError:
                if other is self:
                    raise
        return tuple(deleted)

    def serialize(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"kind": self.KIND, "name": self.name, "version": self.version, "id": self.id, "state": self.entry.state,
                "description": self.description, "created": self.created_time.isoformat(timespec="seconds"),
                "tags": self.tags, "properties": self.properties, "sha256": self.sha256, "bytes": self.entry.bytes,
                "parents": [vars(parent) for parent in self.parents]}


def artifact(workspace: Registry, entry: Entry) -> Artifact:
    """The model, image, service or operation that an entry stands for."""
    return Artifact.kinds[entry.kind].of(workspace, entry)
