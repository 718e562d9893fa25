"""Tasks, their results, and their progress."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

ATTEMPTS = 3
"""How often a task is started if its workers end before it does."""


@dataclass(frozen=True, eq=False)
class Shared:
    """An argument shared by many tasks: each worker receives it once, and passes ``value`` to the function.

    It must be an element of ``Task.arguments``, not nested deeper. ``key`` identifies it.
    """

    value: Any
    key: str = field(default_factory=lambda: uuid.uuid4().hex, init=False)


@dataclass(frozen=True)
class Task:
    """A call that any worker may make, and may make again when its worker is lost.

    Attributes
    ----------
    name
        For messages, such as ``segment 3``.
    function
        Of a module that workers can import. It is called as ``function(*arguments, progress)``, where
        ``progress(done)`` takes the work done so far, 0 to ``size``.
    arguments
        Values that can be pickled. Arrays arrive read-only, without a copy for each reader.
    size
        Share of the whole work, in a unit common to all tasks of one run, such as cycles.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    size: float = 1.0


@dataclass(frozen=True)
class Machine:
    """Where a task ran: the host's name, the process identifier, and the node's identity in a Ray cluster."""

    host: str
    process: int
    node: str = ""

    def __str__(self) -> str:
        return f"{self.host} (process {self.process})"


@dataclass(frozen=True)
class Done:
    """The result of a task.

    Attributes
    ----------
    index
        Position of the task in the given order.
    task
        The task itself.
    value
        What the function returned. Arrays may be read-only.
    machine
        Where it ran.
    seconds
        Duration of the successful call.
    attempts
        1, and one more for each worker that was lost.
    """

    index: int
    task: Task
    value: Any
    machine: Machine
    seconds: float
    attempts: int

    def figures(self) -> dict[str, Any]:
        """Where the task ran, how long and how often, under their names in ``--json``."""
        return {"task": self.task.name, "host": self.machine.host, "process": self.machine.process,
                "node": self.machine.node or None, "seconds": self.seconds, "attempts": self.attempts}


@dataclass(frozen=True)
class Standing:
    """The progress of all tasks together at one moment.

    Attributes
    ----------
    done
        Work done, in the unit of ``Task.size``.
    size
        Total size of all tasks known so far.
    tasks_done
        Number of tasks that have ended.
    tasks
        Number of tasks known so far.
    complete
        Whether no more tasks will come.
    """

    done: float
    size: float
    tasks_done: int
    tasks: int
    complete: bool


Progress = Callable[[Standing], None]
"""Called with the progress of all tasks, one call at a time, possibly from different threads."""


class Workers(Protocol):
    """Where tasks run."""

    @property
    def count(self) -> int:
        """Number of tasks that run at the same time."""
        ...

    def run(self, tasks: Iterable[Task], progress: Progress | None) -> Iterator[Done]:
        """As ``run_tasks``."""
        ...


def run_tasks(tasks: Iterable[Task], where: Workers, progress: Progress | None = None) -> Iterator[Done]:
    """Runs the tasks on the workers of ``where``; yields each result when its task ends.

    ``tasks`` may be a generator: it is read in this thread, only a few tasks ahead of the workers. All
    workers are ended when the iterator is closed, dropped or interrupted by an exception, such as Ctrl-C.

    Raises a task's exception with the same type and text, ``WorkerLostError`` for a task whose workers end
    repeatedly, and ``PoolError`` if workers cannot be started.
    """
    return where.run(tasks, progress)
