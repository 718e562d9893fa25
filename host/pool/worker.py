"""A worker process: takes tasks from the process that started it, one after the other, and ends with it."""

import os
import queue
import threading
from multiprocessing.connection import Connection
from typing import Any

from arrayloom.host.pool.channel import Begin, Channel, Ended, Leave, Lend, Message, Moved, taken
from arrayloom.host.pool.outcome import Outcome, failure, outcome, throttled
from arrayloom.host.pool.sessions import kill_session

_Inbox = queue.SimpleQueue[tuple[Message, int | None]]


def main(descriptor: int) -> None:
    """Runs until the parent ends it; ``descriptor``: this end of the channel. The process leads a session."""
    channel, inbox = Channel(Connection(descriptor)), _Inbox()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    lent: dict[str, int] = {}
    values: dict[str, Any] = {}
    while True:
        message, file = inbox.get()
        if isinstance(message, Leave):
            return
        if isinstance(message, Lend) and file is not None:
            lent[message.key] = file
        if isinstance(message, Begin) and file is not None:
            result = _run(message, file, lent, values, channel)
            _answer(channel, message.name, result)


def _listen(channel: Channel, inbox: _Inbox) -> None:
    """Ends this process and its descendants when the parent has ended, even during a task."""
    try:
        while True:
            inbox.put(channel.receive())
    except (EOFError, OSError):
        kill_session(os.getpid())


def _run(task: Begin, file: int, lent: dict[str, int], values: dict[str, Any], channel: Channel) -> Outcome:
    try:
        function, arguments = taken(file)
        for position, key in task.shared.items():
            if key not in values:
                values[key] = taken(lent.pop(key))
            arguments[position] = values[key]
    except Exception as error:      # an import by pickle failed
        return Outcome(0.0, failure=failure(task.name, error))
    return outcome(task.name, function, tuple(arguments), throttled(lambda done: channel.send(Moved(done))))


def _answer(channel: Channel, name: str, result: Outcome) -> None:
    try:
        channel.send(Ended(), result)
    except (TypeError, AttributeError, ValueError, ImportError) as error:   # pickle does not support the value
        channel.send(Ended(), Outcome(result.seconds, failure=failure(name, error)))
