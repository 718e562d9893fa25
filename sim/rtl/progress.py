"""Lines that say what a build is doing and how long it has taken so far."""

import sys
import time
from collections.abc import Callable

Report = Callable[[str], None]
"""Called with one line of progress."""


class Stopwatch:
    """Prints each line on stderr, after the seconds since it was made."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._begin:6.1f} s] {text}", file=sys.stderr, flush=True)
