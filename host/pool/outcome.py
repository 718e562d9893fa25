"""The outcome of a call in a worker, a value or an exception that the caller gets unchanged, and its progress."""

import pickle
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from arrayloom.host.pool.errors import TaskError
from arrayloom.isa.errors import ArrayloomError

REPORT_SECONDS = 0.1


class RemoteError(Exception):
    """The traceback of another process, shown as the cause of its exception."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True)
class Failure:
    """An exception in parts, since some of ours cannot be recreated from their ``args``.

    ``state``: its attributes; ``text``: the traceback.
    """

    kind: type[BaseException]
    args: tuple[Any, ...]
    state: dict[str, Any]
    text: str

    def error(self) -> BaseException:
        """The exception, as if it had been raised here."""
        error = self.kind.__new__(self.kind, *self.args)
        error.args = self.args
        error.__dict__.update(self.state)
        error.__cause__ = RemoteError(self.text)
        return error


@dataclass(frozen=True)
class Outcome:
    """The call's ``value`` or ``failure``, and its duration in seconds."""

    seconds: float
    value: Any = None
    failure: Failure | None = None

    def result(self) -> Any:
        """The value; raises the exception."""
        if self.failure is not None:
            raise self.failure.error()
        return self.value


def outcome(name: str, function: Callable[..., Any], arguments: tuple[Any, ...],
            progress: Callable[[float], None]) -> Outcome:
    """Calls ``function(*arguments, progress)`` for the task of that name."""
    begin = time.perf_counter()
    try:
        value = function(*arguments, progress)
    except Exception as error:
        return Outcome(time.perf_counter() - begin, failure=failure(name, error))
    return Outcome(time.perf_counter() - begin, value)


def failure(name: str, error: Exception) -> Failure:
    """The named task's exception in a form that can be sent; as a ``TaskError`` if it cannot be."""
    text = "".join(traceback.format_exception(error))
    found = Failure(type(error), error.args, error.__dict__.copy(), text)
    try:
        if str(pickle.loads(pickle.dumps(found)).error()) == str(error):
            return found
    except Exception:
        pass        # its class cannot be imported, or it holds values that cannot be pickled
    said = error if isinstance(error, ArrayloomError) else f"{type(error).__name__}: {error}"
    return Failure(TaskError, (f"{name}: {said}",), {}, text)


def throttled(send: Callable[[float], None]) -> Callable[[float], None]:
    """``send``, limited to a rate that people can follow."""
    next_time = 0.0

    def progress(done: float) -> None:
        nonlocal next_time
        if time.monotonic() >= next_time:
            next_time = time.monotonic() + REPORT_SECONDS
            send(done)

    return progress
