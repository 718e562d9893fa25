"""A server of bundles as a process with a folder: start, wait, probe, stop.

A lock in the folder shows whether the server is alive. The server inherits the lock, which is therefore held exactly
as long as the server lives, whatever happens to its parent. The server's pid is written to a file before the server
is executed, so a living server can always be stopped. The server writes its actual ports to a ready file.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any

from arrayloom.host.serving.protocols.open_inference import LIVE as LIVE_ROUTE
from arrayloom.host.serving.protocols.open_inference import READY as READY_ROUTE
from arrayloom.host.workspace import files
from arrayloom.host.workspace.errors import BusyError, WorkspaceError

PID, LOG, READY_FILE = "pid", "log.txt", "ready.json"
START_SECONDS = 120.0
TRANSITIONING, HEALTHY, UNHEALTHY, ENDED = "Transitioning", "Healthy", "Unhealthy", "Failed"
LOOPBACK = "127.0.0.1"
READY, LIVE = READY_ROUTE.path, LIVE_ROUTE.path
POLL_SECONDS = 0.05
PROBE_SECONDS = 5.0
_LAUNCH = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True)
class Address:
    """A server's address, and whether it uses TLS."""

    host: str
    port: int
    http_port: int
    tls: bool

    @property
    def reachable(self) -> str:
        """The host name for clients on this machine."""
        return LOOPBACK if self.host in ("0.0.0.0", "::", "") else self.host

    @classmethod
    def read(cls, file: Path) -> "Address | None":
        """The content of the server's ready file; None while there is none."""
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(facts["host"], facts["port"], facts["http_port"], facts["tls"])


class ServerProcess:
    """The server whose lock, pid, log and ready file are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        if self._child is not None:
            self._child.poll()  # collects its exit code; it would stay a zombie otherwise
        return files.is_held(self.folder / files.LOCK)

    @property
    def pid(self) -> int | None:
        """The server's process id; None if there is none."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / PID).read_text())
            return pid if self.alive else None
        return None

    @property
    def address(self) -> Address | None:
        """Its current or last address; None before it was ready for the first time."""
        return Address.read(self.folder / READY_FILE) or Address.read(self._last)

    @property
    def state(self) -> str:
        """Transitioning while it starts or loads a model, Healthy, Unhealthy if it does not answer, Failed if it has
        ended."""
        if not self.alive:
            return ENDED
        address = Address.read(self.folder / READY_FILE)
        if address is None:
            return TRANSITIONING
        if probe(address, READY):
            return HEALTHY
        return TRANSITIONING if probe(address, LIVE) else UNHEALTHY

    def start(self, command: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        """Starts ``arrayloom serve``; raises ``BusyError`` if it already runs."""
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
        """Waits; raises ``WorkspaceError`` with the end of its log if it does not become Healthy."""
        if (state := self.wait(timeout)) != HEALTHY:
            raise WorkspaceError(f"{what} is {state}, not {HEALTHY}, after at most {timeout:.0f} s; the end of its log "
                                 f"{self.folder / LOG}:\n{tail(self.folder / LOG)}")

    def stop(self, grace: float) -> None:
        """Stops it, by force after ``grace`` seconds; returns when it is gone."""
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


def probe(address: Address, path: str) -> bool:
    """Whether a health probe answers 200."""
    place = (address.reachable, address.http_port)
    connection = HTTPSConnection(*place, timeout=PROBE_SECONDS, context=_trusting()) if address.tls else \
        HTTPConnection(*place, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _trusting() -> SSLContext:
    """The certificate is not checked: a probe sends nothing secret, and the certificate need not be for the loopback
    address."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context


def serve_options(settings: Mapping[str, Any]) -> list[str]:
    """Settings as options of ``arrayloom serve``."""
    given = {name.replace("_", "-"): value for name, value in settings.items()}
    off = [f"--no-{name}" for name, value in given.items() if value is False]
    return [*off, *(text for name, value in given.items() if not isinstance(value, bool)
                    for text in (f"--{name}", str(value)))]


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def stop(pid: int, grace: float) -> None:
    """Ends a server and its session: with SIGTERM, and after ``grace`` seconds by force."""
    end = time.monotonic() + grace
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
        while time.monotonic() < end:
            _reap(pid)
            os.killpg(pid, 0)
            time.sleep(POLL_SECONDS)
        os.killpg(pid, signal.SIGKILL)
    _reap(pid)


def _reap(pid: int) -> None:
    """Collects the exit code of a child, which would stay a zombie otherwise; does nothing for other processes."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
