"""The memory budget of requests in flight on both ports, and the return of freed memory to the system."""

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.errors import Kind, ServiceError

CALL = 1 << 16
"""Bytes charged for a call in addition to its message; this bounds the number of calls."""

TRIM_SECONDS, TRIM_BYTES = 1.0, 32 << 20
"""Seconds between checks of the resident memory, and the growth in bytes after which memory is returned."""

IDLE_SECONDS = 5.0
"""After which a stream that waits for its client may lose its place to another one."""


class Budget:
    """``size`` bytes for all requests together, of which ``held`` are in use."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0

    def hold(self, first: int = CALL) -> "Holding":
        """A context manager for one request's share: it reserves ``first`` bytes at once, and releases everything at the
        end."""
        return Holding(self, first)


class Holding:
    """One request's share of the budget."""

    def __init__(self, budget: Budget, first: int) -> None:
        self._budget, self._first, self._bytes = budget, first, 0

    def resize(self, count: int) -> None:
        """Reserves ``count`` bytes; raises ``ServiceError`` (FULL) if too few are free."""
        more = count - self._bytes
        free = self._budget.size - self._budget.held
        if more > free:
            raise ServiceError(Kind.FULL, f"requests in flight leave {free} of the {self._budget.size} bytes for requests "
                                          f"(--memory), and this one needs {more} more; try again later")
        self._budget.held += more
        self._bytes = count

    def message(self, count: int) -> None:
        """Reserves memory for a message of ``count`` bytes and for the call itself; raises ``ServiceError`` (FULL)."""
        self.resize(CALL + count)

    def __enter__(self) -> Self:
        self.resize(self._first)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.resize(0)


class Streams:
    """Limits the number of open streams of one kind, which would otherwise use up the concurrent calls or the memory.

    Parameters
    ----------
    most
        Streams that may be open at the same time.
    reason
        Why there are no more, and what the client can do, for refusals.
    """

    def __init__(self, most: int, reason: str) -> None:
        self._most, self._reason, self._open = most, reason, 0
        self._idle: dict[asyncio.Future[None], float] = {}      # and since when, the longest first

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Counts one more stream. At the limit it ends the one that has been idle for longest, if that is long enough, or
        raises ``ServiceError`` (FULL)."""
        if self._open >= self._most and not self._end_an_idle_one():
            raise ServiceError(Kind.FULL, f"{self._most} {self._reason}")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    @contextlib.contextmanager
    def idle(self) -> Iterator[asyncio.Future[None]]:
        """Marks a stream as waiting for its client; the future is done when it has to give up its place."""
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle[ended] = time.monotonic()
        try:
            yield ended
        finally:
            self._idle.pop(ended, None)

    def _end_an_idle_one(self) -> bool:
        longest = next(iter(self._idle), None)
        if longest is None or time.monotonic() - self._idle[longest] < IDLE_SECONDS:
            return False
        del self._idle[longest]
        longest.set_result(None)
        return True


def trim() -> None:
    """Returns free memory to the system once. Needed only with glibc; other C libraries keep less."""
    if (found := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        found(0)


async def give_back() -> None:
    """Returns free memory to the system, again and again.

    gRPC keeps messages in many small pieces in each thread's heap, where freed pieces would otherwise stay.
    """
    least = resident_bytes(os.getpid())
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        if resident_bytes(os.getpid()) > least + TRIM_BYTES:
            await asyncio.to_thread(trim)
            least = max(least, resident_bytes(os.getpid()) - TRIM_BYTES)
