"""What depends on what, and in which order things may go.

Images and services need what they were made from, and a running operation needs its inputs. A converted model is a copy
that stands on its own: the model that it was made from may go before it, once no image holds either.
"""

import sqlite3

from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Entry

_DESCENDANTS = """
WITH RECURSIVE descendants (id) AS (
    SELECT child FROM lineage WHERE parent = ?
    UNION SELECT child FROM lineage JOIN descendants ON parent = descendants.id
)
SELECT id FROM descendants
"""
_ORDER = ("operation", "service", "image", "model")


def descendants(connection: sqlite3.Connection, entry: Entry) -> list[Entry]:
    """All that was made from an entry, directly or not: operations, services, images, models; newest first in each."""
    rows = connection.execute(_DESCENDANTS, (entry.id,)).fetchall()
    found = [entries.get(connection, row["id"]) for row in rows]
    return sorted(found, key=lambda e: (_ORDER.index(e.kind), -e.id))


def dependents(connection: sqlite3.Connection, entry: Entry) -> list[Entry]:
    """What must be deleted before ``entry`` may be, in that order."""
    return [other for other in descendants(connection, entry) if other.kind != "model"]


def release(connection: sqlite3.Connection, operation: int) -> None:
    """An operation that has ended no longer needs its inputs; their names stay."""
    connection.execute("UPDATE lineage SET parent = NULL WHERE child = ?", (operation,))
