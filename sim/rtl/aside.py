"""Work of a build in parallel to the rest of it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Aside(Generic[Result]):
    """Runs ``work`` in a thread. A context manager: when its block ends, the ``Event`` asks the work to end too."""

    def __init__(self, work: Callable[[Event], Result]) -> None:
        self._work, self._stop = work, Event()
        self._threads = ThreadPoolExecutor(1)
        self._future: Future[Result] | None = None

    def start(self) -> None:
        """Starts the work unless it has been started."""
        self._begun()

    def result(self) -> Result:
        """The result of the work, which is started now if necessary; raises its exception."""
        return self._begun().result()

    def _begun(self) -> Future[Result]:
        if self._future is None:
            self._future = self._threads.submit(self._work, self._stop)
        return self._future

    def __enter__(self) -> "Aside[Result]":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stop.set()
        self._threads.shutdown()
