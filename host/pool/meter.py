"""Adds up the progress of concurrent tasks."""

import threading

from arrayloom.host.pool.task import Progress, Standing, Task


class Meter:
    """Calls ``progress`` with the sum over all tasks whenever one advances; thread-safe."""

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
        """Records the work done of a task; more than its size, and reports after its end, are ignored."""
        with self._lock:
            if index in self._sizes:
                self._running[index] = min(max(done, 0.0), self._sizes[index])
                self._tell()

    def end(self, index: int) -> None:
        """Records that the task has ended."""
        with self._lock:
            self._running.pop(index, None)
            self._done += self._sizes.pop(index)
            self._tasks_done += 1
            self._tell()

    def close(self) -> None:
        """Records that no more tasks will come."""
        with self._lock:
            self._complete = True
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(Standing(self._done + sum(self._running.values()), self._done + sum(self._sizes.values()),
                                    self._tasks_done, self._tasks_done + len(self._sizes), self._complete))
