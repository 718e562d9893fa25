"""The budget of bytes that requests in flight may hold, of both ports together, and memory given back after them."""

import asyncio
import ctypes
import os
from types import TracebackType
from typing import Self

from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.errors import Kind, ServiceError

CALL = 1 << 16
"""What a call holds besides its message, in bytes: it bounds the number of calls."""

TRIM_SECONDS, TRIM_BYTES = 1.0, 32 << 20
"""How often the service looks at its resident memory, and how much more of it than before is given back."""


class Budget:
    """So many ``size`` bytes for all requests together; ``held`` of them are taken."""

    def __init__(self, size: int) -> None:
        self.size, self.held = size, 0

    def hold(self, first: int = CALL) -> "Holding":
        """What one request holds, ``first`` bytes from its beginning on; a context manager that gives all back."""
        return Holding(self, first)


class Holding:
    """One request's part of the budget."""

    def __init__(self, budget: Budget, first: int) -> None:
        self._budget, self._first, self._bytes = budget, first, 0

    def resize(self, count: int) -> None:
        """Holds ``count`` bytes from now on; raises ``ServiceError`` (FULL) where others leave too few for that."""
        more = count - self._bytes
        free = self._budget.size - self._budget.held
        if more > free:
            raise ServiceError(Kind.FULL, f"requests in flight leave {free} of the {self._budget.size} bytes for requests "
                                          f"(--memory), and this one needs {more} more; try again later")
        self._budget.held += more
        self._bytes = count

    def message(self, count: int) -> None:
        """Holds a message of ``count`` bytes, and what the call takes besides; raises ``ServiceError`` (FULL)."""
        self.resize(CALL + count)

    def __enter__(self) -> Self:
        self.resize(self._first)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.resize(0)


def trim() -> None:
    """Gives free memory back to the system once; that is glibc's to do, and others keep less."""
    if (found := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        found(0)


async def give_back() -> None:
    """Gives free memory back to the system, for ever.

    Messages over gRPC lie in many small pieces in the heap of each of its threads, and free pieces stay there by themselves.
    """
    least = resident_bytes(os.getpid())
    while True:
        await asyncio.sleep(TRIM_SECONDS)
        if resident_bytes(os.getpid()) > least + TRIM_BYTES:
            await asyncio.to_thread(trim)
            least = max(least, resident_bytes(os.getpid()) - TRIM_BYTES)
