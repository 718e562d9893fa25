"""Messages between a worker process and its parent; values are passed as files."""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

from arrayloom.host.pool.parcel import packed, unpacked


@dataclass(frozen=True)
class Lend:
    """A shared value for the tasks that refer to its ``key``; the value follows."""

    key: str


@dataclass(frozen=True)
class Begin:
    """A task; its function and arguments follow. ``shared``: keys of shared arguments, by position."""

    name: str
    shared: dict[int, str]


@dataclass(frozen=True)
class Moved:
    """The amount of its size that the task has done."""

    done: float


@dataclass(frozen=True)
class Ended:
    """The task is over; its ``Outcome`` follows."""


@dataclass(frozen=True)
class Leave:
    """No more tasks come."""


Message = Lend | Begin | Moved | Ended | Leave
CARRIERS = Lend, Begin, Ended
"""The messages that are followed by a value."""


class Channel:
    """One end of the channel. One thread sends and one receives; the channel closes when the process at either end ends."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self._connection = connection

    def send(self, message: Message, value: Any = None) -> None:
        """Sends a message; raises ``OSError`` if the other end is closed, and any error from pickling ``value``."""
        if not isinstance(message, CARRIERS):
            self._connection.send(message)
            return
        with packed(value) as file:
            self._connection.send(message)
            send_handle(self._connection, file.fileno(), 0)

    def receive(self) -> tuple[Message, int | None]:
        """Receives a message, and the descriptor of the value that follows it, for ``taken``.

        Raises ``EOFError`` or ``OSError`` if the other end is closed.
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
