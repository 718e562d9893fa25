"""Tasks for tests of the pool, in a module that worker processes can import."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from arrayloom.isa.errors import ConfigError

Progress = Callable[[float], None]


def square(value: int, progress: Progress) -> int:
    progress(1.0)
    return value * value


def total(values: NDArray[Any], offset: NDArray[Any], _: Progress) -> tuple[int, NDArray[Any]]:
    """The sum, and the values plus an offset; arrays arrive read-only."""
    assert not values.flags.writeable
    return int(values.sum()), values + offset


def refuse(kind: str, _: Progress) -> None:
    if kind == "ours":
        raise ConfigError("size 3: must be a power of two")
    if kind == "with nodes":
        from arrayloom.compiler.errors import Unsupported, UnsupportedError  # makes the import slow, for one test
        raise UnsupportedError([Unsupported("conv", "Conv", "", "its kernel is too large", "make it smaller")])
    if kind == "local class":
        class OwnError(Exception):
            pass
        raise OwnError("of a class that only exists here")
    raise ValueError("of Python")


def die_until(marks: Path, name: str, times: int, number: int, progress: Progress) -> int:
    """Kills its own process in the first ``times`` calls; leaves a mark for each call."""
    progress(0.5)
    (marks / f"{name}-{os.getpid()}").touch()
    if len(list(marks.glob(f"{name}-*"))) <= times:
        os.kill(os.getpid(), number)
    return os.getpid()


def leave(code: int, _: Progress) -> None:
    os._exit(code)


def hang(marks: Path, name: str, _: Progress) -> None:
    """Starts a process in its own group, as a build does, and never returns; records both process identifiers."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], process_group=0)
    (marks / f"{name}.part").write_text(f"{os.getpid()} {child.pid}")
    (marks / f"{name}.part").rename(marks / name)
    time.sleep(1000)



def make_lambda(_: Progress) -> object:
    return lambda: None


def nap(seconds: float, progress: Progress) -> None:
    for part in range(1, 10):
        time.sleep(seconds / 10)
        progress(part / 10)
