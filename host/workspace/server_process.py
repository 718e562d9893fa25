"""A server process in a folder, known by a lock there for as long as it lives.

The lock is inherited by the server, so that it is held exactly while the server lives, whatever becomes of its parent;
and the server's pid stands in a file before the server is executed, so that a living server can always be stopped.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from arrayloom.host.workspace import files
from arrayloom.host.workspace.errors import BusyError, WorkspaceError
from arrayloom.host.workspace.server_address import LIVE, POLL_SECONDS, READY, Address, probe, stop, tail

PID, LOG, READY_FILE = "pid", "log.txt", "ready.json"
START_SECONDS = 120.0
TRANSITIONING, HEALTHY, UNHEALTHY, ENDED = "Transitioning", "Healthy", "Unhealthy", "Failed"
_LAUNCH = 'echo $$ > "$0" && exec "$@"'


class ServerProcess:
    """The server whose lock, pid, log and ready file lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        if self._child is not None:
            self._child.poll()  # takes its exit code, or it would stay as a zombie
        return files.is_held(self.folder / files.LOCK)

    @property
    def pid(self) -> int | None:
        """The server's process; None where there is none."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / PID).read_text())
            return pid if self.alive else None
        return None

    @property
    def address(self) -> Address | None:
        """Where it listens, or did when it last ran; None before it was ready for the first time."""
        return Address.read(self.folder / READY_FILE) or Address.read(self._last)

    @property
    def state(self) -> str:
        """Transitioning while it starts or loads a model, Healthy, Unhealthy when it does not answer, Failed when ended."""
        if not self.alive:
            return ENDED
        address = Address.read(self.folder / READY_FILE)
        if address is None:
            return TRANSITIONING
        if probe(address, READY):
            return HEALTHY
        return TRANSITIONING if probe(address, LIVE) else UNHEALTHY

    def start(self, command: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        """Starts ``arrayloom serve``; raises ``BusyError`` where it runs already."""
        lock = files.take_lock(self.folder / files.LOCK)
        if lock is None:
            raise BusyError(f"{self.folder}: its server runs already; stop it first")
        try:
            files.remove(self.folder / PID)
            if (self.folder / READY_FILE).exists():
                (self.folder / READY_FILE).replace(self._last)
            with (self.folder / LOG).open("ab") as log:
                self._child = subprocess.Popen(
                    ["/bin/sh", "-c", _LAUNCH, str(self.folder / PID), *command, "--ready-file",
                     str(self.folder / READY_FILE)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                    env={**os.environ, **environment}, pass_fds=[lock], start_new_session=True)
        finally:
            os.close(lock)

    def wait(self, timeout: float) -> str:
        """The state as soon as it is Healthy or Failed, or after ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while (state := self.state) not in (HEALTHY, ENDED) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        return state

    def require_healthy(self, what: str, timeout: float) -> None:
        """Waits; raises ``WorkspaceError`` with the end of its log where it is not Healthy then."""
        if (state := self.wait(timeout)) != HEALTHY:
            raise WorkspaceError(f"{what} is {state}, not {HEALTHY}, after at most {timeout:.0f} s; the end of its log "
                                 f"{self.folder / LOG}:\n{tail(self.folder / LOG)}")

    def stop(self, grace: float) -> None:
        """Ends it, by force after ``grace`` seconds; returns when it is gone."""
        end = time.monotonic() + grace + 10
        while self.alive:
            if (pid := self.pid) is not None:
                stop(pid, grace)
            if time.monotonic() > end:
                raise WorkspaceError(f"{self.folder}: its server does not end; end process {pid} by hand")
            time.sleep(POLL_SECONDS)

    @property
    def _last(self) -> Path:
        return self.folder / f"last-{READY_FILE}"
