"""Rows of the registry: models, images, services and operations, with names, versions, tags, properties and lineage.

Every function on rows takes a connection, so a caller can combine several in one transaction.

Images and services need what they were made from, and a running operation needs its inputs. A converted model is
an independent copy: its source model may be deleted before it, once no image uses either.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from arrayloom.host.serving.manifest import NAME
from arrayloom.host.workspace.errors import NotFoundError, WorkspaceError

_DESCENDANTS = """
WITH RECURSIVE descendants (id) AS (
    SELECT child FROM lineage WHERE parent = ?
    UNION SELECT child FROM lineage JOIN descendants ON parent = descendants.id
)
SELECT id FROM descendants
"""
_ORDER = ("operation", "service", "image", "model")
Filter = str | Sequence[str]
"""A tag or property to filter by: its key, or [key, value]."""


@dataclass(frozen=True)
class Parent:
    """Where an entry comes from: ``reference`` as ``kind name:version``, with its sha256 at that time."""

    reference: str
    sha256: str | None


@dataclass(frozen=True)
class Entry:
    """One row. ``path`` is relative to the workspace; ``created`` in seconds since 1970; ``details`` by kind."""

    id: int
    kind: str
    name: str
    version: int
    state: str
    description: str
    created: float
    path: str | None
    sha256: str | None
    bytes: int | None
    details: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()

    @property
    def reference(self) -> str:
        return f"{self.kind} {self.name}:{self.version}"


@dataclass(frozen=True)
class Draft:
    """The caller's values for a new entry; the registry adds id, version and time."""

    kind: str
    name: str
    state: str
    description: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    parents: Sequence[Entry] = ()


def check_name(name: str, what: str) -> str:
    """Returns ``name`` if it is valid; else raises ``WorkspaceError`` with the rule for names of ``what``."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise WorkspaceError(f"{what} name {name!r}: must be 1 to 255 letters, digits, '-', '.' or '_', and begin with a "
                             "letter or a digit")
    return name


def parse_reference(text: str, what: str) -> tuple[str, int | None]:
    """``NAME`` or ``NAME:VERSION``; a missing version is None, which means the latest."""
    name, colon, version = text.partition(":")
    if colon and not re.fullmatch("[0-9]{1,18}", version):
        raise WorkspaceError(f"{what} {text!r}: the version after the colon must be a whole number")
    return check_name(name, what), int(version) if colon else None


def next_version(connection: sqlite3.Connection, kind: str, name: str) -> int:
    """The next version of a name; deleted versions are never reused."""
    row = connection.execute(
        "INSERT INTO versions VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last", (kind, name))
    return int(row.fetchone()[0])


def insert(connection: sqlite3.Connection, draft: Draft, version: int, path: str | None = None,
           sha256: str | None = None, size: int | None = None) -> Entry:
    """A new row with its tags, properties and lineage."""
    cursor = connection.execute(
        "INSERT INTO entries (kind, name, version, state, description, created, path, sha256, bytes, details) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (draft.kind, draft.name, version, draft.state, draft.description, time.time(), path, sha256, size,
         json.dumps(dict(draft.details))))
    number = cursor.lastrowid
    assert number is not None
    put_labels(connection, number, "tag", draft.tags)
    put_labels(connection, number, "property", draft.properties)
    connection.executemany("INSERT INTO lineage VALUES (?, ?, ?, ?)",
                           [(number, parent.id, parent.reference, parent.sha256) for parent in draft.parents])
    return get(connection, number)


def put_labels(connection: sqlite3.Connection, number: int, sort: str, labels: Mapping[str, str]) -> None:
    """Sets tags or properties; raises ``WorkspaceError`` for anything but text."""
    for key, value in labels.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise WorkspaceError(f"{sort} {key!r} = {value!r}: key and value must be text, the key not empty")
        connection.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", (number, sort, key, value))


def drop_tag(connection: sqlite3.Connection, number: int, key: str) -> None:
    connection.execute("DELETE FROM labels WHERE entry = ? AND sort = 'tag' AND key = ?", (number, key))


def get(connection: sqlite3.Connection, number: int) -> Entry:
    """The entry with that id; raises ``NotFoundError`` if it has been deleted."""
    row = connection.execute("SELECT * FROM entries WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise NotFoundError("the entry has been deleted from the workspace")
    return _entry(connection, row)


def find(connection: sqlite3.Connection, kind: str, name: str, version: int | None = None) -> Entry:
    """The entry of that name and version (None: the latest); raises ``NotFoundError``."""
    rows = connection.execute("SELECT * FROM entries WHERE kind = ? AND name = ? ORDER BY version", (kind, name)).fetchall()
    chosen = [row for row in rows if version in (None, row["version"])]
    if chosen:
        return _entry(connection, chosen[-1])
    if rows:
        known = ", ".join(str(row["version"]) for row in rows)
        raise NotFoundError(f"{kind} {name!r} has no version {version}; there are {known}")
    names = connection.execute("SELECT DISTINCT name FROM entries WHERE kind = ? ORDER BY name", (kind,)).fetchall()
    known = ", ".join(row["name"] for row in names) or "none"
    raise NotFoundError(f"{kind} {name!r} is not in the workspace; its {kind}s are: {known}")


def search(connection: sqlite3.Connection, kind: str, name: str | None = None, tags: Iterable[Filter] = (),
           properties: Iterable[Filter] = (), latest: bool = False) -> list[Entry]:
    """Entries by name and labels, newest first; ``latest`` keeps the highest version of each name."""
    clauses, values = ["kind = ?"], [kind]
    if name is not None:
        clauses.append("name = ?")
        values.append(name)
    for sort, filters in (("tag", tags), ("property", properties)):
        for wanted in filters:
            key, *value = [wanted] if isinstance(wanted, str) else wanted
            clauses.append("EXISTS (SELECT 1 FROM labels WHERE entry = id AND sort = ? AND key = ?"
                           + (" AND value = ?)" if value else ")"))
            values += [sort, key, *value[:1]]
    rows = connection.execute(f"SELECT * FROM entries WHERE {' AND '.join(clauses)} ORDER BY id DESC", values).fetchall()
    if latest:
        highest: dict[str, sqlite3.Row] = {}
        for row in rows:
            if row["version"] > highest.get(row["name"], {"version": -1})["version"]:
                highest[row["name"]] = row
        rows = list(highest.values())
    return [_entry(connection, row) for row in rows]


def update(connection: sqlite3.Connection, number: int, **columns: Any) -> None:
    """Sets columns of a row; ``details`` is given as a dictionary."""
    if "details" in columns:
        columns["details"] = json.dumps(columns["details"])
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE entries SET {names} WHERE id = ?", (*columns.values(), number))


def delete(connection: sqlite3.Connection, number: int) -> None:
    """Deletes the entry with that id; its children keep its name as a parent."""
    connection.execute("DELETE FROM entries WHERE id = ?", (number,))


def adopt(connection: sqlite3.Connection, child: int, parent: Entry) -> None:
    """Replaces the lineage of an entry."""
    connection.execute("DELETE FROM lineage WHERE child = ?", (child,))
    connection.execute("INSERT INTO lineage VALUES (?, ?, ?, ?)", (child, parent.id, parent.reference, parent.sha256))


def descendants(connection: sqlite3.Connection, entry: Entry) -> list[Entry]:
    """Everything made from an entry, directly or indirectly: operations, services, images, models; the newest first within
    each kind."""
    rows = connection.execute(_DESCENDANTS, (entry.id,)).fetchall()
    found = [get(connection, row["id"]) for row in rows]
    return sorted(found, key=lambda e: (_ORDER.index(e.kind), -e.id))


def dependents(connection: sqlite3.Connection, entry: Entry) -> list[Entry]:
    """The entries that must be deleted before ``entry``, in order."""
    return [other for other in descendants(connection, entry) if other.kind != "model"]


def release(connection: sqlite3.Connection, operation: int) -> None:
    """Releases the inputs of an operation that has ended; their names stay."""
    connection.execute("UPDATE lineage SET parent = NULL WHERE child = ?", (operation,))


def move_state(connection: sqlite3.Connection, number: int, before: Sequence[str], after: str) -> bool:
    """Sets the state if it is one of ``before``; False if it is not, or the entry is gone."""
    marks = ", ".join("?" * len(before))
    cursor = connection.execute(f"UPDATE entries SET state = ? WHERE id = ? AND state IN ({marks})",
                                (after, number, *before))
    return cursor.rowcount == 1


def _entry(connection: sqlite3.Connection, row: sqlite3.Row) -> Entry:
    labels = connection.execute("SELECT sort, key, value FROM labels WHERE entry = ?", (row["id"],)).fetchall()
    parents = connection.execute("SELECT reference, sha256 FROM lineage WHERE child = ? ORDER BY rowid", (row["id"],))
    return Entry(**{**dict(row), "details": json.loads(row["details"])},
                 tags={key: value for sort, key, value in labels if sort == "tag"},
                 properties={key: value for sort, key, value in labels if sort == "property"},
                 parents=tuple(Parent(*parent) for parent in parents))
