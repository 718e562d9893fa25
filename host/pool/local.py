"""Tasks in this process, and in processes of this machine."""

import os
import queue
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from functools import partial

from arrayloom.host.pool.drive import AHEAD, drive
from arrayloom.host.pool.errors import PoolError, WorkerLostError
from arrayloom.host.pool.meter import Meter
from arrayloom.host.pool.outcome import Outcome
from arrayloom.host.pool.process import WorkerEndedError, WorkerProcess
from arrayloom.host.pool.task import ATTEMPTS, Done, Machine, Progress, Shared, Task


class ThisProcess:
    """Runs tasks in this process one by one, each when it is created."""

    count = 1

    def run(self, tasks: Iterable[Task], progress: Progress | None = None) -> Iterator[Done]:
        meter, machine = Meter(progress), Machine(socket.gethostname(), os.getpid())
        for index, task in enumerate(tasks):
            meter.add(index, task)
            arguments = tuple(one.value if isinstance(one, Shared) else one for one in task.arguments)
            begin = time.perf_counter()
            value = task.function(*arguments, partial(meter.move, index))
            meter.end(index)
            yield Done(index, task, value, machine, time.perf_counter() - begin, 1)
        meter.close()


class LocalWorkers:
    """``count`` processes of this machine."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise PoolError(f"{count} workers: there must be at least 1; a machine runs about one for each processor")
        self.count = count

    def run(self, tasks: Iterable[Task], progress: Progress | None = None) -> Iterator[Done]:
        count = min(self.count, len(tasks)) if isinstance(tasks, Sized) else self.count
        meter = Meter(progress)
        yield from drive(tasks, _Crew(count, meter), meter)


class _Crew:
    """Worker processes, each with a thread that waits for it."""

    def __init__(self, count: int, meter: Meter) -> None:
        self._meter = meter
        self._tasks = queue.SimpleQueue[tuple[int, Task] | None]()
        self._results = queue.SimpleQueue[Done | BaseException]()
        self._lock = threading.Lock()
        self._killed = False
        self._processes: dict[int, WorkerProcess] = {}
        self._threads = [threading.Thread(target=self._serve, args=(place,), daemon=True) for place in range(count)]
        for thread in self._threads:
            thread.start()

    def room(self) -> int:
        return len(self._threads) + AHEAD

    def give(self, index: int, task: Task) -> None:
        self._tasks.put((index, task))

    def has_result(self) -> bool:
        return not self._results.empty()

    def result(self) -> Done:
        found = self._results.get()
        if isinstance(found, Done):
            return found
        raise found

    def kill(self) -> None:
        with self._lock:
            self._killed = True
            for process in self._processes.values():
                process.kill()

    def join(self) -> None:
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, place: int) -> None:
        """The thread of one worker process, which is replaced if it ends during a task."""
        try:
            self._start(place)
            while (item := self._tasks.get()) is not None and not self._killed:
                self._results.put(self._run(place, *item))
        except BaseException as error:
            self._results.put(error)
        finally:
            if place in self._processes:
                self._processes[place].leave()

    def _start(self, place: int) -> None:
        with self._lock:
            if not self._killed:
                self._processes[place] = WorkerProcess()

    def _run(self, place: int, index: int, task: Task) -> Done:
        for attempt in range(1, ATTEMPTS + 1):
            process = self._processes[place]
            try:
                result: Outcome = process.run(task, partial(self._meter.move, index))
            except WorkerEndedError as ended:
                if self._killed or attempt == ATTEMPTS:
                    raise WorkerLostError(f"{task.name}: its worker {ended}, {attempt} times; {ended.remedy}") from None
                self._meter.move(index, 0.0)
                self._start(place)
            else:
                value = result.result()
                return Done(index, task, value, process.machine, result.seconds, attempt)
        raise AssertionError("unreachable")
