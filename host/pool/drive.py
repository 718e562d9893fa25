"""The loop that keeps workers busy, whatever they are."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from arrayloom.host.pool.meter import Meter
from arrayloom.host.pool.task import Done, Task

AHEAD = 2
"""How many tasks are made before a worker is free for them."""


class Crew(Protocol):
    """Workers at work."""

    def room(self) -> int:
        """How many tasks may be under way at once."""
        ...

    def give(self, index: int, task: Task) -> None:
        """The task begins as soon as a worker is free."""
        ...

    def has_result(self) -> bool:
        """Whether ``result`` returns at once."""
        ...

    def result(self) -> Done:
        """The next task that ends; raises what it raised."""
        ...

    def kill(self) -> None:
        """Ends all workers, whatever they are doing."""
        ...

    def join(self) -> None:
        """Waits until all workers have ended."""
        ...


def drive(tasks: Iterable[Task], crew: Crew, meter: Meter) -> Iterator[Done]:
    """Gives the tasks to the crew, few enough to have little in memory, and yields what comes back as it does.

    Results go first, then tasks are made: both happen in this thread, while the workers go on.
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
