"""Checks of whether processes started by others still run."""

import socket
import time
from collections.abc import Iterable
from pathlib import Path

LONG = 300.0    # time limit of a test, in seconds


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_ended(processes: Iterable[int]) -> None:
    deadline = time.monotonic() + LONG
    while left := [process for process in processes if alive(process)]:
        assert time.monotonic() < deadline, f"processes {left} still run"
        time.sleep(0.01)


def hanging(marks: Path, *names: str) -> list[int]:
    """The identifiers of the processes of ``pool_tasks.hang``, once all of them run."""
    deadline = time.monotonic() + LONG
    while not all((marks / name).exists() for name in names):
        assert time.monotonic() < deadline, "the tasks did not begin"
        time.sleep(0.01)
    numbers = [int(number) for name in names for number in (marks / name).read_text().split()]
    assert all(map(alive, numbers))
    return numbers


def free_port() -> int:
    """A free port of the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
