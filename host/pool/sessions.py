"""Ends a process together with all that it started, also in process groups of their own, as compilers are."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.005
SESSION_FIELD = 3       # of /proc/PID/stat, counted behind the name, which may hold anything


def kill_session(leader: int) -> None:
    """Kills every process of the session that ``leader`` leads, with those that they start meanwhile.

    A leader that is this process goes last, and one that has ended must not have been waited for.
    """
    if leader != os.getpid():
        _kill(leader)
    while members := [process for process in _members(leader) if process != os.getpid()]:
        for process in members:
            _kill(process)
        time.sleep(POLL_SECONDS)
    _kill(leader)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _members(leader: int) -> Iterator[int]:
    """The living processes of that session."""
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):     # it has ended meanwhile
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[SESSION_FIELD]) == leader and fields[0] not in (b"Z", b"X"):
                    yield int(folder.name)
