"""Operations: work in a separate process, with a state, a log and a result that outlive the process that started it.

An operation's process holds a lock from before its row exists until it ends. If a row's state is Running but its lock is
free, the process was killed; whoever reads the row sets it to Failed.
"""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TextIO

from arrayloom.host.workspace import entries, files
from arrayloom.host.workspace.artifact import Artifact, artifact
from arrayloom.host.workspace.entries import Draft, Entry
from arrayloom.host.workspace.errors import NotFoundError, WorkspaceError
from arrayloom.host.workspace.job import (
    CANCELLED,
    FAILED,
    LIVE,
    LOG,
    NOT_STARTED,
    PROGRESS,
    REQUEST,
    SUCCEEDED,
    TIMED_OUT,
    Job,
    end,
)
from arrayloom.host.workspace.registry import Also, Registry
from arrayloom.sim.rtl.process import PYTHON

WORKER = "arrayloom.host.workspace.worker"
POLL_SECONDS = 0.05
GRACE_SECONDS = 5.0
"""Seconds that a stopped worker may take before it is killed."""

CLEANUP_SECONDS = 30.0
"""Longest wait in seconds for a worker to clean up after it has recorded its result."""


class Operation(Artifact):
    """One run of a job, such as ``convert:3``; ``Operation(workspace, name, version)`` finds it again."""

    KIND: ClassVar[str] = "operation"
    _process: subprocess.Popen[bytes] | None = None
    grace: float = GRACE_SECONDS

    @classmethod
    def start(cls, workspace: Registry, job: Job, arguments: Mapping[str, Any], parents: Sequence[Entry],
              keep: Mapping[str, bytes] | None = None, also: Also | None = None) -> Self:
        """Starts a job with JSON arguments; ``keep`` are files for it, ``also`` runs in the row's transaction.

        The inputs named by ``parents`` cannot be deleted until it has ended.
        """
        place = workspace.path / "operations" / uuid.uuid4().hex
        with files.gate(place.parent):
            place.mkdir()
            lock = files.take_lock(place / files.LOCK)
        assert lock is not None
        try:
            for name, content in (keep or {}).items():
                (place / name).write_bytes(content)
            (place / REQUEST).write_text(json.dumps(dict(arguments)))
            (place / LOG).touch()
            entry = _insert(workspace, job.name, place, parents, also)
            operation = cls.of(workspace, entry)
            operation._spawn(job.module, lock)
        finally:
            os.close(lock)
        return operation

    def _spawn(self, module: str, lock: int) -> None:
        os.set_inheritable(lock, True)
        command = [*PYTHON, "-m", WORKER, str(self.workspace.path), str(self.entry.id), str(lock), module]
        with (self.path / LOG).open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[lock],
                                             start_new_session=True)

    @property
    def status(self) -> str:
        """NotStarted, Running, Succeeded, Failed, Cancelled or TimedOut, as of now."""
        if self._process is not None:
            self._process.poll()  # collects its exit code; it would stay a zombie otherwise
        held = files.is_held(self.path / files.LOCK)
        if self.refresh().entry.state in LIVE and not held:
            self.finish(FAILED, "its process ended without a result: it was killed, or the machine was shut down; start "
                                "the operation again")
        return self.entry.state

    @property
    def error(self) -> str | None:
        """Why it failed; for a model that cannot be compiled, the compiler's whole report."""
        return self.entry.details.get("error")

    @property
    def unsupported(self) -> list[dict[str, str]]:
        """Every node that cannot be compiled: node, operator, what, reason, remedy."""
        return list(self.entry.details.get("unsupported", []))

    @property
    def log(self) -> str:
        """What its process has printed so far."""
        return (self.path / LOG).read_text(encoding="utf-8", errors="replace")

    @property
    def result(self) -> Any:
        """The registered result; raises ``WorkspaceError`` with the reason if there is none."""
        state = self.status
        if state != SUCCEEDED:
            reason = f": {self.error}" if self.error else "; wait_for_completion() waits for it" if state in LIVE else ""
            raise WorkspaceError(f"{self.entry.reference} has no result, it is {state}{reason}")
        kind, name, version = self.entry.details["result"]
        with self.workspace.database.read() as connection:
            return artifact(self.workspace, entries.find(connection, kind, name, version))

    @property
    def progress(self) -> tuple[str, int, int] | None:
        """The current step, the work done and the total; None before the first report."""
        try:
            title, done, count = json.loads((self.path / PROGRESS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return title, done, count

    def wait_for_completion(self, show_output: bool = False, timeout: float | None = None,
                            on_progress: Callable[[str, int, int], None] | None = None) -> bool:
        """Waits until it and its process have ended; True if it succeeded.

        A process records the result before it cleans up; the wait for the latter is at most ``CLEANUP_SECONDS``.

        Parameters
        ----------
        show_output : bool
            Whether to print its log as it grows, and its state at the end.
        timeout : float | None
            Seconds after which the operation is stopped, and its state is TimedOut.
        on_progress : Callable[[str, int, int], None] | None
            Called with ``progress`` while it waits.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with (self.path / LOG).open(encoding="utf-8", errors="replace") as log:
            while (state := self.status) in LIVE:
                if deadline is not None and time.monotonic() >= deadline:
                    self._stop(TIMED_OUT, f"not done after {timeout} s")
                    continue
                time.sleep(POLL_SECONDS)
                _show(log, show_output)
                if on_progress and (progress := self.progress):
                    on_progress(*progress)
            self._await_process()
            _show(log, show_output)
        if show_output:
            print(f"{self.id} {state}" + (f": {self.error}" if self.error else ""), flush=True)
        return state == SUCCEEDED

    def _await_process(self) -> None:
        """Waits until the process of an ended operation and its staged files are gone."""
        end = time.monotonic() + CLEANUP_SECONDS
        while files.is_held(self.path / files.LOCK) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    def cancel(self) -> None:
        """Stops it; does nothing if it has already ended."""
        self._stop(CANCELLED, "cancelled")

    def end_process(self) -> None:
        self.cancel()

    def settle(self) -> None:
        _ = self.status

    def _stop(self, state: str, reason: str) -> None:
        """Sets the state and stops the worker; a result that the worker finishes later is discarded, since the state
        decides."""
        if self.status not in LIVE or not self.finish(state, reason):
            return
        end = time.monotonic() + self.grace
        while files.is_held(self.path / files.LOCK):
            pid = self.refresh().entry.details.get("pid")
            if pid is not None:  # the lock is held, so the pid is still this worker's
                _signal(pid, signal.SIGTERM if time.monotonic() < end else signal.SIGKILL)
            time.sleep(POLL_SECONDS)

    def finish(self, state: str, error: str | None = None, **details: Any) -> bool:
        """Ends it in a state; False if it had ended before."""
        with self.workspace.database.write() as connection:
            ended = end(connection, self.entry.id, state, error=error, **details)
        self.refresh()
        return ended

    def serialize(self) -> dict[str, Any]:
        return super().serialize() | {"state": self.status, "error": self.error, "unsupported": self.unsupported,
                                      "result": self.entry.details.get("result")}


def _insert(workspace: Registry, job: str, place: Path, parents: Sequence[Entry], also: Also | None) -> Entry:
    path = str(place.relative_to(workspace.path))
    with workspace.database.write() as connection:
        known = [entries.get(connection, parent.id) for parent in parents]
        version = entries.next_version(connection, "operation", job)
        entry = entries.insert(connection, Draft("operation", job, NOT_STARTED, parents=known), version, path)
        if also:
            also(connection, entry)
    return entry


def _show(log: TextIO, wanted: bool) -> None:
    if text := log.read() if wanted else "":
        print(text, end="", flush=True)


def _signal(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)  # the worker is the leader of its own session
    except ProcessLookupError:
        return


def find(workspace: Registry, number: int) -> Operation:
    """The operation with that id."""
    with workspace.database.read() as connection:
        entry = entries.get(connection, number)
    if entry.kind != "operation":
        raise NotFoundError(f"{entry.reference} is not an operation")
    return Operation.of(workspace, entry)
