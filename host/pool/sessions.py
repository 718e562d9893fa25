"""Ends a process together with all its descendants, also those in other process groups, such as compilers."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.005
SESSION_FIELD = 3       # fields of /proc/PID/stat, counted after the name, which may contain anything


def kill_session(leader: int) -> None:
    """Kills every process of the session of ``leader``, including those started meanwhile.

    If this process is the leader, it is killed last; a leader that has ended must not have been reaped yet.
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
            with suppress(OSError):     # the process has ended meanwhile
                fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                if int(fields[SESSION_FIELD]) == leader and fields[0] not in (b"Z", b"X"):
                    yield int(folder.name)
