"""The loop that keeps workers of any kind busy."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from arrayloom.host.pool.meter import Meter
from arrayloom.host.pool.task import Done, Task

AHEAD = 2
"""Number of tasks created ahead of a free worker."""


class Crew(Protocol):
    """Workers at work."""

    def room(self) -> int:
        """Number of tasks that may be in progress at once."""
        ...

    def give(self, index: int, task: Task) -> None:
        """Starts the task as soon as a worker is free."""
        ...

    def has_result(self) -> bool:
        """Whether ``result`` returns at once."""
        ...

    def result(self) -> Done:
        """The next finished task; raises the task's own exception."""
        ...

    def kill(self) -> None:
        """Ends all workers at once."""
        ...

    def join(self) -> None:
        """Waits until all workers have ended."""
        ...


def drive(tasks: Iterable[Task], crew: Crew, meter: Meter) -> Iterator[Done]:
    """Hands the tasks to the crew, few at a time to save memory, and yields results in the order of completion.

    Results are yielded before new tasks are created; both happen in this thread while the workers run.
    """
    waiting = iter(enumerate(tasks))
    under_way, complete = 0, False
    try:
        while not complete or under_way:
            if under_way and (complete or under_way >= crew.room() or crew.has_result()):
                done = crew.result()
                under_way -= 1
                meter.end(done.index)
                yield done
            elif (item := next(waiting, None)) is not None:
                meter.add(*item)
                crew.give(*item)
                under_way += 1
            else:
                complete = True
                meter.close()
    except BaseException:
        crew.kill()
        raise
    finally:
        crew.join()
