"""Decides which request runs next and which model the devices hold; contains neither processes nor waiting."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from arrayloom.host.serving.core.frames import Block
from arrayloom.host.serving.core.served_model import Model

Clock = Callable[[], float]


@dataclass(frozen=True)
class Answer:
    """A replica's result for a job, and the seconds of each part."""

    header: dict[str, Any]
    blocks: Sequence[memoryview]
    queue_seconds: float


@dataclass(eq=False)
class Job:
    """One accepted request; ``order`` counts acceptances, ``future`` receives its answer."""

    model: Model
    header: dict[str, Any]
    blocks: Sequence[Block]
    future: "asyncio.Future[Answer]"
    accepted: float
    order: int
    attempts: int = field(default=0)


class JobQueue:
    """Waiting jobs by model, and the model ``assigned`` to the devices.

    Jobs for the assigned model run in the order of their acceptance. The assignment changes if only
    jobs for other models wait, or if another model's job has waited longer than ``turn`` and the
    assigned model has had the device for as long. An operator's switch happens after all jobs accepted
    before it.
    """

    def __init__(self, assigned: Model, turn: float, clock: Clock = time.monotonic) -> None:
        self.assigned = assigned
        self._turn, self._clock = turn, clock
        self._since = clock()
        self._waiting: dict[str, dict[int, Job]] = {}
        self._orders = itertools.count()
        self._switch: tuple[Model, int] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def switching(self) -> bool:
        """Whether a switch is waiting for the jobs accepted before it."""
        return self._switch is not None

    def add(self, model: Model, header: dict[str, Any], blocks: Sequence[Block], future: "asyncio.Future[Answer]") -> Job:
        job = Job(model, header, blocks, future, self._clock(), next(self._orders))
        self._waiting.setdefault(model.key, {})[job.order] = job
        return job

    def put_back(self, job: Job) -> None:
        """Requeues a job whose run was lost, ahead of all jobs accepted after it."""
        jobs = self._waiting.setdefault(job.model.key, {})
        jobs[job.order] = job
        self._waiting[job.model.key] = dict(sorted(jobs.items()))

    def discard(self, job: Job) -> None:
        """Removes a job if it still waits."""
        self._waiting.get(job.model.key, {}).pop(job.order, None)

    def take_all(self, model: Model | None = None) -> list[Job]:
        """Removes and returns every waiting job, or every one for ``model``."""
        keys = list(self._waiting) if model is None else [model.key]
        return [job for key in keys for job in self._waiting.pop(key, {}).values()]

    def switch(self, model: Model) -> None:
        """Assigns ``model`` once everything accepted so far has been taken."""
        self._switch = (model, next(self._orders))

    def assign(self, model: Model) -> None:
        self.assigned, self._since = model, self._clock()

    def decide(self, resting: Model | None) -> None:
        """Changes the assignment if it is due; ``resting``: the model to hold when no job waits, or None for any."""
        own, others = self._oldest(self.assigned), self._oldest_other()
        if others is not None and (own is None or self._overdue(others)):
            self.assign(others.model)
        elif own is None and self._switch is not None:
            model, self._switch = self._switch[0], None
            self.assign(model)
        elif own is None and resting is not None and resting is not self.assigned:
            self.assign(resting)

    def take(self) -> Job | None:
        """The next job for the assigned model."""
        job = self._oldest(self.assigned)
        if job is not None:
            self.discard(job)
        return job

    def _oldest(self, model: Model) -> Job | None:
        job = next(iter(self._waiting.get(model.key, {}).values()), None)
        return job if job is not None and (self._switch is None or job.order < self._switch[1]) else None

    def _oldest_other(self) -> Job | None:
        firsts = [next(iter(jobs.values())) for key, jobs in self._waiting.items() if jobs and key != self.assigned.key]
        limit = self._switch[1] if self._switch else None
        return min((job for job in firsts if limit is None or job.order < limit), key=lambda job: job.order, default=None)

    def _overdue(self, job: Job) -> bool:
        now = self._clock()
        return now - job.accepted > self._turn and now - self._since > self._turn
