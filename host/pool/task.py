"""Tasks, what comes of them, and how far they are."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

ATTEMPTS = 3
"""How often a task is begun whose workers end before it does."""


@dataclass(frozen=True, eq=False)
class Shared:
    """An argument that many tasks have in common: each worker gets it once, and passes ``value`` to the function.

    It may stand in ``Task.arguments`` itself, not deeper inside. ``key``: tells it from all others.
    """

    value: Any
    key: str = field(default_factory=lambda: uuid.uuid4().hex, init=False)


@dataclass(frozen=True)
class Task:
    """A call that any worker may make, and may make again when its worker is lost.

    Attributes:
        name: for people, such as ``segment 3``.
        function: of a module that workers can import. It is called as ``function(*arguments, progress)``, where
            ``progress(done)`` takes the work done so far, 0 to ``size``.
        arguments: values that can be pickled. Arrays arrive read-only, without a copy for each reader.
        size: share of the whole work, in any unit that all tasks of one run have in common, such as cycles.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    size: float = 1.0


@dataclass(frozen=True)
class Machine:
    """Where a task ran: the host's name, the process on it, and the node's identity in a Ray cluster."""

    host: str
    process: int
    node: str = ""

    def __str__(self) -> str:
        return f"{self.host} (process {self.process})"


@dataclass(frozen=True)
class Done:
    """What a task gave.

    Attributes:
        index: of the task among all in the order in which they were given.
        task: as it was given.
        value: what the function returned. Arrays may be read-only.
        machine: where it ran.
        seconds: of the call that succeeded.
        attempts: 1, and one more for each worker that was lost.
    """

    index: int
    task: Task
    value: Any
    machine: Machine
    seconds: float
    attempts: int

    def figures(self) -> dict[str, Any]:
        """Where the task ran, how long and how often, under the names that ``--json`` gives them."""
        return {"task": self.task.name, "host": self.machine.host, "process": self.machine.process,
                "node": self.machine.node or None, "seconds": self.seconds, "attempts": self.attempts}


@dataclass(frozen=True)
class Standing:
    """How far all tasks together are at one moment.

    Attributes:
        done: the work that is done, in the unit of ``Task.size``.
        size: that of all tasks that are known.
        tasks_done: those that have ended.
        tasks: those that are known.
        complete: whether no more tasks will come.
    """

    done: float
    size: float
    tasks_done: int
    tasks: int
    complete: bool


Progress = Callable[[Standing], None]
"""Called with how far all tasks are, one call at a time, perhaps from several threads."""


class Workers(Protocol):
    """Where tasks run."""

    @property
    def count(self) -> int:
        """How many run at the same time."""
        ...

    def run(self, tasks: Iterable[Task], progress: Progress | None) -> Iterator[Done]:
        """As ``run_tasks``."""
        ...


def run_tasks(tasks: Iterable[Task], where: Workers, progress: Progress | None = None) -> Iterator[Done]:
    """Runs the tasks on the workers of ``where``; gives each one's result as it ends.

    ``tasks`` may make tasks while earlier ones run: it is pulled in this thread, only a few tasks ahead of the workers.
    When the iterator is closed or dropped, or anything is raised in it, such as by Ctrl-C, all workers are ended.

    Raises what a task raises, as the same type with the same text, and ``WorkerLostError`` for a task whose workers end
    time after time; ``PoolError`` when there are no workers to be had.
    """
    return where.run(tasks, progress)
