"""Adds up how far tasks are that run side by side."""

import threading

from arrayloom.host.pool.task import Progress, Standing, Task


class Meter:
    """Tells ``progress`` how far all tasks are, whenever one of them moves; for several threads."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._sizes: dict[int, float] = {}
        self._running: dict[int, float] = {}
        self._done = 0.0
        self._tasks_done = 0
        self._complete = False

    def add(self, index: int, task: Task) -> None:
        """A task is known."""
        with self._lock:
            self._sizes[index] = task.size
            self._tell()

    def move(self, index: int, done: float) -> None:
        """The task has done so much of its size. What exceeds it, and what comes after the end, does not count."""
        with self._lock:
            if index in self._sizes:
                self._running[index] = min(max(done, 0.0), self._sizes[index])
                self._tell()

    def end(self, index: int) -> None:
        """The task has ended."""
        with self._lock:
            self._running.pop(index, None)
            self._done += self._sizes.pop(index)
            self._tasks_done += 1
            self._tell()

    def close(self) -> None:
        """All tasks are known."""
        with self._lock:
            self._complete = True
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(Standing(self._done + sum(self._running.values()), self._done + sum(self._sizes.values()),
                                    self._tasks_done, self._tasks_done + len(self._sizes), self._complete))
