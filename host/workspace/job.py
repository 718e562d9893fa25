"""Jobs: the work that an operation's process does, as that process sees it.

A job is a module with a function ``run(running, request)``. It does the work and ends the operation in the transaction
that publishes the result. Its output goes to the operation's log.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.workspace import entries
from arrayloom.host.workspace.entries import Entry
from arrayloom.host.workspace.errors import OvertakenError
from arrayloom.host.workspace.registry import Registry
from arrayloom.isa.files import write_atomically

NOT_STARTED, RUNNING, SUCCEEDED, FAILED = "NotStarted", "Running", "Succeeded", "Failed"
CANCELLED, TIMED_OUT = "Cancelled", "TimedOut"
LIVE = (NOT_STARTED, RUNNING)
REQUEST, LOG, PROGRESS = "request.json", "log.txt", "progress.json"
WRITE_SECONDS = 0.2


@dataclass(frozen=True)
class Job:
    """A kind of operation: ``module`` is the full name of a module with a function ``run``."""

    name: str
    module: str


@dataclass(frozen=True)
class Running:
    """The operation for which a job runs."""

    workspace: Registry
    entry: Entry

    @property
    def path(self) -> Path:
        """The operation's folder."""
        assert self.entry.path is not None
        return self.workspace.path / self.entry.path

    def succeed(self, connection: sqlite3.Connection, result: Entry) -> None:
        """Ends it in the transaction that publishes ``result``; raises ``OvertakenError``, which rolls both back."""
        if not end(connection, self.entry.id, SUCCEEDED, result=[result.kind, result.name, result.version]):
            raise OvertakenError

    def fail(self, error: str, **details: Any) -> None:
        """Ends it with a reason; does nothing if it has already ended."""
        with self.workspace.database.write() as connection:
            end(connection, self.entry.id, FAILED, error=error, **details)


class Progress:
    """A job's progress for those who wait: a file in the operation's folder, written at most a few times a second."""

    def __init__(self, running: Running) -> None:
        self._path = running.path / PROGRESS
        self._next = 0.0

    def __call__(self, title: str, done: int, count: int) -> None:
        """Reports a step with the work done and the total (0: unknown)."""
        if time.monotonic() < self._next and done != count:
            return
        self._next = time.monotonic() + WRITE_SECONDS
        with write_atomically(self._path) as file:
            file.write(json.dumps([title, done, count]).encode())


Run = Callable[[Running, Mapping[str, Any]], None]
"""A job's function; its second argument is the operation's request."""


def end(connection: sqlite3.Connection, number: int, state: str, **details: Any) -> bool:
    """Ends the operation with that id inside a transaction; False if it had ended before."""
    if not entries.move_state(connection, number, LIVE, state):
        return False
    entries.release(connection, number)
    entries.update(connection, number, details=entries.get(connection, number).details | details)
    return True
