"""A server of bundles as a process: started, waited for, probed, stopped.

The server writes the ports that it got into a ready file.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import CERT_NONE, SSLContext, create_default_context

from arrayloom.host.serving.protocols.open_inference import LIVE as LIVE_ROUTE
from arrayloom.host.serving.protocols.open_inference import READY as READY_ROUTE

LOOPBACK = "127.0.0.1"
READY, LIVE = READY_ROUTE.path, LIVE_ROUTE.path
POLL_SECONDS = 0.05
PROBE_SECONDS = 5.0


@dataclass(frozen=True)
class Address:
    """Where a server listens, and whether it speaks TLS."""

    host: str
    port: int
    http_port: int
    tls: bool

    @property
    def reachable(self) -> str:
        """The host as a client on this machine names it."""
        return LOOPBACK if self.host in ("0.0.0.0", "::", "") else self.host

    @classmethod
    def read(cls, file: Path) -> "Address | None":
        """What the server wrote into its ready file; None while it has not."""
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(facts["host"], facts["port"], facts["http_port"], facts["tls"])


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
    """A probe sends nothing secret, and a certificate need not be for the loopback address."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context


def tail(log: Path, lines: int = 10) -> str:
    """The last lines of a log."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


def stop(pid: int, grace: float) -> None:
    """Ends a server and the session that it leads: politely, and after ``grace`` seconds by force."""
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
    """Takes the exit code of a child, or it would stay as a zombie; nothing where it is no child of ours."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
