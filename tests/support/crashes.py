"""Kills a process at every point where it accesses the disk, one point per run.

Points are the calls of the C functions in ``POINTS``, found by a profile hook: the code under test is unchanged.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

POINTS = {"open", "write", "fsync", "flock", "close", "mkdir", "rename", "replace", "unlink", "rmdir", "execute",
          "executescript", "executemany", "sendfile", "copy_file_range", "link"}
KILLED = -signal.SIGKILL


def kill_at_each_point(action: Callable[[], object], first: int = 0, step: int = 1) -> Iterator[int]:
    """Runs ``action`` in a child repeatedly, killed before its n-th point, until a child completes.

    Yields n after each killed child, for the caller to check what it left.
    """
    point = first
    while _run(action, point) == KILLED:
        yield point
        point += step


def _run(action: Callable[[], object], point: int) -> int:
    """The child's exit code; raises if it failed in another way than requested."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(point)
            action()
            sys.setprofile(None)
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, KILLED):
        raise AssertionError(f"the child ended with {code} at point {point}")
    return code


def _arm(point: int) -> None:
    left = point

    def hook(_: FrameType, event: str, function: object) -> None:
        nonlocal left
        if event == "c_call" and getattr(function, "__name__", "") in POINTS:
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.setprofile(hook)
