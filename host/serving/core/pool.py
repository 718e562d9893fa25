"""The replicas that share one queue: each takes jobs, loads another model when the assignment changes, and is replaced when
it is lost."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from arrayloom.host.serving.core.frames import Block
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.metrics import Metrics
from arrayloom.host.serving.core.process import ReplicaProcess
from arrayloom.host.serving.core.queue import Answer, Job, JobQueue
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.settings import Reflash, Settings
from arrayloom.host.serving.core.spares import Spares
from arrayloom.host.serving.errors import Kind, ReplicaLostError, RunTooLongError, ServiceError

LONGEST_PAUSE = 10.0

LEAST_PATIENCE, FIRST_PATIENCE = 1.0, 10.0
"""Seconds for an abandoned run to end: the minimum, and the value until an image of its model has been timed."""


class Pool:
    """``default``: the model of requests without a name; the idle devices hold it if other models are refused."""

    def __init__(self, default: Model, settings: Settings, metrics: Metrics) -> None:
        self.default = default
        self.queue = JobQueue(default, settings.turn)
        self._settings, self._metrics = settings, metrics
        self._processes: dict[int, ReplicaProcess] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._running: set[Job] = set()
        self._waiters: set[asyncio.Future[None]] = set()
        self._failures: dict[str, ServiceError] = {}
        self._good: Model | None = None
        self._spares = Spares(settings, self._wake, lambda: self.queue.assigned)
        self._slowest: dict[str, float] = {}        # seconds per image, by the model's key

    @property
    def ready(self) -> bool:
        """Whether a device holds the assigned model and no switch is in progress."""
        return not self.queue.switching and self.holds(self.queue.assigned)

    @property
    def in_flight(self) -> int:
        return len(self._running)

    def holds(self, model: Model) -> bool:
        return any(process.model is model and not process.lost for process in self._processes.values())

    def processes(self) -> dict[str, int]:
        """Process identifiers by replica number."""
        return {f"replica {index}": process.pid for index, process in self._processes.items()} | self._spares.processes()

    async def start(self) -> None:
        """Starts all replicas; returns when the first is ready; raises ``ServiceError`` if the model cannot be loaded."""
        self._tasks = [asyncio.create_task(self._keep(index)) for index in range(self._settings.replicas)]
        await self._until(lambda: self.ready, self.default)
        self._spares.fill()

    async def submit(self, model: Model, header: dict[str, Any], blocks: Sequence[Block]) -> Answer:
        """Queues a request and waits for its answer; cancelling the caller removes the request."""
        job = self.queue.add(model, header, blocks, asyncio.get_running_loop().create_future())
        self._wake()
        try:
            return await job.future
        finally:
            self.queue.discard(job)
            self._wake()

    async def switch(self, model: Model) -> None:
        """Loads a model onto the devices after all requests accepted so far; raises ``ServiceError`` if it cannot be
        loaded."""
        self.default = model
        self._failures.pop(model.key, None)
        if self.queue.assigned is not model or self.queue.switching:
            self.queue.switch(model)
            self._wake()
        await self._until(lambda: self.ready and self.queue.assigned is model, model)

    async def finish(self, seconds: float) -> None:
        """Waits at most ``seconds`` for accepted requests; those left then fail with UNAVAILABLE."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(lambda: not self._running and not len(self.queue))
        for job in [*self.queue.take_all(), *self._running]:
            _fail(job, ServiceError(Kind.UNAVAILABLE, f"the service stops, and the request was not done within {seconds} s"))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self._spares.close(), *(process.stop() for process in self._processes.values()))

    async def _keep(self, index: int) -> None:
        """Runs one slot of the pool: replaces each lost replica, with growing pauses while new ones fail to load a model."""
        pause = 0.1
        while True:
            process = None
            try:
                process = self._processes[index] = await self._spares.take()
                await self._feed(process)
            except ReplicaLostError as error:
                self._metrics.lost.inc()
                log.warning("replica %d is replaced: %s", index, error, extra={"event": "replica_lost", "replica": index})
            except OSError as error:
                log.error("replica %d cannot be started: %s", index, error, extra={"event": "replica_failed"})
            held = process is not None and process.held
            pause = 0.1 if held else min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(0 if held else pause)

    async def _feed(self, process: ReplicaProcess) -> None:
        while True:
            if process.lost:
                raise ReplicaLostError("the process ended while it was idle")
            self.queue.decide(self.default if self._settings.reflash is Reflash.REFUSE else None)
            if process.model is not self.queue.assigned:
                await self._load(process, self.queue.assigned)
            elif (job := self.queue.take()) is not None:
                await self._run(process, job)
            else:
                await self._changed()

    async def _load(self, process: ReplicaProcess, model: Model) -> None:
        try:
            seconds = await process.load(model)
        except ServiceError as error:
            log.error("%s cannot be loaded: %s", model, error, extra={"event": "reflash_failed", "model": model.name})
            self._failures[model.key] = error
            for job in self.queue.take_all(model):
                _fail(job, ServiceError(Kind.UNAVAILABLE, f"{model} cannot be loaded: {error}"))
            if self.default is model and self._good is not None:
                self.default = self._good
            self.queue.assign(self.default)
            self._wake()
            await asyncio.sleep(1.0 if self.default is model else 0)
            return
        self._good = model
        self._failures.pop(model.key, None)
        self._metrics.reflashes.labels(model.name, model.version).inc()
        self._metrics.reflash_time.labels(model.name, model.version).observe(seconds)
        log.info("%s is on the device", model, extra={"event": "reflash", "model": model.name, "version": model.version,
                                                      "seconds": round(seconds, 4)})
        self._wake()

    async def _run(self, process: ReplicaProcess, job: Job) -> None:
        if job.future.done():
            return
        job.attempts += 1
        self._running.add(job)
        begin = time.monotonic()
        try:
            header, blocks = await self._wanted(process, job)
            seconds = (header["preprocess_seconds"] + header["device_seconds"]) / header["images"]
            self._slowest[job.model.key] = max(self._slowest.get(job.model.key, 0.0), seconds)
            if header["model"] != job.model.key:
                raise ReplicaLostError(f"it answered for {header['model']} where {job.model.key} was asked")
            if not job.future.done():
                job.future.set_result(Answer(header, blocks, begin - job.accepted))
        except ServiceError as error:
            _fail(job, error)
        except RunTooLongError as error:
            _fail(job, ServiceError(Kind.DEADLINE, str(error)))
            raise
        except ReplicaLostError:
            self._again(job)
            raise
        finally:
            self._running.discard(job)

    async def _wanted(self, process: ReplicaProcess, job: Job) -> tuple[dict[str, Any], list[memoryview]]:
        """The answer to a job. If its caller is gone, the job is cancelled after the current image: the replica has the
        time of the slowest image so far to stop, and is replaced if it takes longer."""
        run = asyncio.ensure_future(process.run(job.header, job.blocks, self._settings.device_timeout))
        try:
            waited: set[asyncio.Future[Any]] = {run, job.future}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not run.done():
                process.cancel()
                patience = LEAST_PATIENCE + 2 * self._slowest.get(job.model.key, FIRST_PATIENCE)
                await asyncio.wait({run}, timeout=patience)
            if not run.done():
                process.kill()
                raise ReplicaLostError(f"it went on for {patience:.1f} s with a run that no one waited for")
            return run.result()
        finally:
            if not run.done():
                run.cancel()

    def _again(self, job: Job) -> None:
        if job.future.done():
            return
        if job.attempts >= self._settings.attempts:
            _fail(job, ServiceError(Kind.UNAVAILABLE, f"the replica was lost in each of {job.attempts} runs of the request"))
            return
        self._metrics.retries.labels(job.model.name, job.model.version).inc()
        self.queue.put_back(job)
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    async def _until(self, condition: Callable[[], bool], loading: Model | None = None) -> None:
        """Waits for a condition; raises ``ServiceError`` if the model ``loading`` fails to load."""
        while not condition():
            if loading is not None and loading.key in self._failures:
                raise self._failures[loading.key]
            await self._changed()


def _fail(job: Job, error: ServiceError) -> None:
    if not job.future.done():
        job.future.set_exception(error)
