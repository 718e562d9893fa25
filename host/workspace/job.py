"""Jobs: the work that an operation's process does, as that process sees it.

A job is a module with a function ``run(running, request)``. It does the work and ends the operation in the transaction that
publishes the result. Whatever it prints stands in the operation's log.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Entry
from arrayloom.host.workspace.errors import OvertakenError
from arrayloom.host.workspace.registry import Registry

NOT_STARTED, RUNNING, SUCCEEDED, FAILED = "NotStarted", "Running", "Succeeded", "Failed"
CANCELLED, TIMED_OUT = "Cancelled", "TimedOut"
LIVE = (NOT_STARTED, RUNNING)
REQUEST, LOG = "request.json", "log.txt"


@dataclass(frozen=True)
class Job:
    """What operations of a name do: ``module`` is the full name of a module with a function ``run``."""

    name: str
    module: str


@dataclass(frozen=True)
class Running:
    """The operation that a job runs for."""

    workspace: Registry
    entry: Entry

    @property
    def path(self) -> Path:
        """The operation's folder."""
        assert self.entry.path is not None
        return self.workspace.path / self.entry.path

    def succeed(self, connection: sqlite3.Connection, result: Entry) -> None:
        """Ends it inside the transaction that publishes ``result``; raises ``OvertakenError``, which undoes both."""
        if not end(connection, self.entry.id, SUCCEEDED, result=[result.kind, result.name, result.version]):
            raise OvertakenError

    def fail(self, error: str, **details: Any) -> None:
        """Ends it with a reason; nothing happens where it has ended already."""
        with self.workspace.database.write() as connection:
            end(connection, self.entry.id, FAILED, error=error, **details)


Run = Callable[[Running, Mapping[str, Any]], None]
"""A job's function; its second argument is the operation's request."""


def end(connection: sqlite3.Connection, number: int, state: str, **details: Any) -> bool:
    """Ends the operation with that id inside a transaction; False where it had ended before."""
    if not entries.move_state(connection, number, LIVE, state):
        return False
    entries.release(connection, number)
    entries.update(connection, number, details=entries.get(connection, number).details | details)
    return True
