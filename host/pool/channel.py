"""Messages between a worker process and the one that started it, with values that travel as files."""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from arrayloom.host.pool.parcel import packed, unpacked


@dataclass(frozen=True)
class Lend:
    """A shared value, for the tasks that name its ``key``; the value follows."""

    key: str


@dataclass(frozen=True)
class Begin:
    """A task; its function and arguments follow. ``shared``: of some arguments' positions the keys."""

    name: str
    shared: dict[int, str]


@dataclass(frozen=True)
class Moved:
    """The task has done so much of its size."""

    done: float


@dataclass(frozen=True)
class Ended:
    """The task is over; its ``Outcome`` follows."""


@dataclass(frozen=True)
class Leave:
    """No more tasks come."""


Message = Lend | Begin | Moved | Ended | Leave
CARRIERS = Lend, Begin, Ended
"""The messages that a value follows."""


class Channel:
    """One end; closed by the other end's process too, when that ends. One thread sends, and one receives."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def send(self, message: Message, value: Any = None) -> None:
        """Raises ``OSError`` when there is nobody at the other end, and what pickling ``value`` raises."""
        if not isinstance(message, CARRIERS):
            self._connection.send(message)
            return
        with packed(value) as file:
            self._connection.send(message)
            send_handle(self._connection, file.fileno(), 0)

    def receive(self) -> tuple[Message, int | None]:
        """A message, and the descriptor of the value that followed it, for ``taken``.

        Raises ``EOFError`` or ``OSError`` when there is nobody at the other end.
        """
        message = self._connection.recv()
        return message, recv_handle(self._connection) if isinstance(message, CARRIERS) else None

    def close(self) -> None:
        self._connection.close()


def taken(descriptor: int) -> Any:
    """The value that followed a message."""
    try:
        return unpacked(descriptor)
    finally:
        os.close(descriptor)
