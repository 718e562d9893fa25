"""A simulation kernel: processes with their own clocks, connected by channels whose items carry the cycle of their arrival.

A channel has one writer and one reader, so what a process reads does not depend on the order in which processes are run, and
a process may run ahead of the others. Only the processes that share the bus must be resumed in order of time.
"""

from collections import deque
from collections.abc import Generator
from heapq import heappop, heappush

from arrayloom.compiler.errors import CompileError


class Channel:
    """The number of items posted so far, with the cycle of each; it only grows."""

    def __init__(self, initial: int = 0) -> None:
        self.total = initial
        self._posts = deque([(initial, 0)])
        self._since = 0
        self.taken = 0
        self.waiter: tuple[Process, int] | None = None
        self.woken: list[Process] = []

    def post(self, time: int, amount: int = 1) -> None:
        """Posts ``amount`` items that are available from cycle ``time``."""
        self.total += amount
        self._posts.append((self.total, time))
        if self.waiter is not None and self.total >= self.waiter[1]:
            self.woken.append(self.waiter[0])
            self.waiter = None

    def since(self, total: int) -> int:
        """Returns the cycle from which at least ``total`` items are available; never less than the result of an earlier
        call."""
        posts = self._posts
        while posts[0][0] < total:
            posts.popleft()
        self._since = max(self._since, posts[0][1])
        return self._since

    def exceeds(self, total: int) -> int | None:
        """Returns the cycle from which more than ``total`` items are available, or None; ``total`` was asked for before."""
        return next((time for posted, time in self._posts if posted > total), None)

    def reach(self, total: int) -> "Process":
        """Waits until ``total`` items were posted; returns the cycle from which they are available."""
        while self.total < total:
            yield self, total
        return self.since(total)

    def take(self, amount: int = 1) -> "Process":
        """Takes ``amount`` items, after waiting for them; returns the cycle from which they are available."""
        self.taken += amount
        return (yield from self.reach(self.taken))


Wait = int | tuple[Channel, int]
Process = Generator[Wait, None, int]
"""Yields the cycle at which it continues, or a channel and the total of items that it waits for."""


class Kernel:
    """Runs processes, always the one with the earliest cycle."""

    def __init__(self) -> None:
        self._ready: list[tuple[int, int, Process]] = []
        self._order = 0
        self._woken: list[Process] = []
        self._now = 0

    def channel(self, initial: int = 0) -> Channel:
        channel = Channel(initial)
        channel.woken = self._woken
        return channel

    def start(self, process: Process) -> None:
        self._push(self._now, process)

    def run(self, until: Process) -> int:
        """Runs all processes until ``until`` ends, and returns its result.

        Raises ``CompileError`` if all processes wait for each other, since no hardware could finish such a program.
        """
        self.start(until)
        while self._ready:
            self._now, _, process = heappop(self._ready)
            try:
                wait = next(process)
            except StopIteration as stop:
                if process is until:
                    return int(stop.value)
            else:
                self._suspend(process, wait)
            while self._woken:
                self._push(self._now, self._woken.pop())
        raise CompileError("the program never ends: its instructions wait for each other")

    def _suspend(self, process: Process, wait: Wait) -> None:
        if isinstance(wait, int):
            self._push(wait, process)
        else:
            wait[0].waiter = process, wait[1]

    def _push(self, time: int, process: Process) -> None:
        self._order += 1
        heappush(self._ready, (max(time, self._now), self._order, process))
