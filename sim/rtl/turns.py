"""Turns of processes: one makes a thing, and the others wait and report who makes it, since when, and the current step.

The lock of a file gives the turn; the system takes it back from a process that dies. The maker writes its current step to
that file.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

from arrayloom.sim.rtl.process import Report, StoppedError

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Maker:
    """Whose turn it is: process ``pid`` on ``host``, since ``begin`` in Unix time; ``line`` is its last of progress."""

    pid: int
    host: str
    begin: float
    line: str

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" on {self.host}" if self.host != socket.gethostname() else "")


@dataclass(frozen=True)
class Turn:
    """A turn that was got: ``report`` is for its progress, ``waited_for`` the last maker before, if there was one."""

    report: Report
    waited_for: Maker | None


@contextmanager
def take_turn(lock: Path, name: str, report: Report, stop: Event | None = None) -> Iterator[Turn]:
    """Waits until no other process has the turn represented by the file ``lock``, and holds it until the block ends.

    ``report`` receives who makes the thing called ``name`` meanwhile, and each of their steps. Raises ``StoppedError`` when
    ``stop`` is set while waiting.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        waited_for = _wait(descriptor, name, report, stop)
        with _announced(descriptor, report) as announced:
            yield Turn(announced, waited_for)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, name: str, report: Report, stop: Event | None) -> Maker | None:
    maker, last = None, ""
    while not _try_lock(descriptor):
        maker = _read(descriptor) or maker
        if maker and not last:
            report(f"another process is making this {name} ({maker}, for {time.time() - maker.begin:.0f} s); waiting for it")
        if maker and maker.line != last:
            report(f"{maker}: {maker.line}")
            last = maker.line
        if (stop or Event()).wait(POLL_SECONDS):
            raise StoppedError
    return maker


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _announced(descriptor: int, report: Report) -> Iterator[Report]:
    """A report whose lines are also for those who wait."""
    begin = time.time()

    def announce(line: str) -> None:
        _write(descriptor, json.dumps(asdict(Maker(os.getpid(), socket.gethostname(), begin, line))).encode())

    def announced(line: str) -> None:
        announce(line)
        report(line)

    announce("begins")
    try:
        yield announced
    finally:
        _write(descriptor, b"")


def _write(descriptor: int, content: bytes) -> None:
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


def _read(descriptor: int) -> Maker | None:
    """The maker's line; None if there is none yet or it is being written."""
    try:
        return Maker(**json.loads(os.pread(descriptor, 1 << 16, 0)))
    except ValueError:
        return None
