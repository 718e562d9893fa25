"""The service, independent of protocols: it finds models, queues and answers requests, switches models, and measures."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from numpy.typing import NDArray

from arrayloom.host.serving.core.frames import Block, describe, restore
from arrayloom.host.serving.core.keys import KeyFile
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.memory import Budget, Holding, Streams, give_back
from arrayloom.host.serving.core.metrics import Metrics
from arrayloom.host.serving.core.offload import Offload
from arrayloom.host.serving.core.pool import Pool
from arrayloom.host.serving.core.queue import Answer
from arrayloom.host.serving.core.reading import Limits, Reader, Reading, request_of
from arrayloom.host.serving.core.repository import Labels, Repository
from arrayloom.host.serving.core.request_ids import CURRENT
from arrayloom.host.serving.core.result import Result
from arrayloom.host.serving.core.served_model import Model, Request
from arrayloom.host.serving.core.settings import Reflash, Settings
from arrayloom.host.serving.core.statistics import Statistics
from arrayloom.host.serving.errors import Kind, ServiceError
from arrayloom.isa.errors import ArrayloomError

Array = NDArray[Any]
T = TypeVar("T")

READING_MEMORY, READING_LEAST = 20, 1 << 28
"""Memory for reading a message: a multiple of the largest message, plus a constant in bytes."""

LEAST_DIALOGS = 4

MOST_SMALL = 64
"""Open streams whose messages are small, of health and of reflection: without a limit, one client's streams could use up all
concurrent calls."""

MANY_DIALOGS = ("streams of requests are open already, as many as the memory for their messages allows (--memory, "
                "--max-message); close one, or ask without")
MANY_SMALL = ("streams of health (Watch) and reflection are open already, as many as are allowed; close one, or ask for the "
              "health with Check")

CLOCKS = {"rtl": "counted by the simulated hardware", "emulator": "predicted by the cost model"}


class State(StrEnum):
    """State of a model; END: an operator has unloaded it."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    END = "END"


class Service:
    """``keys``: None if no key is needed; ``remedy``: how an operator loads a model, for refusals, with ``{name}`` for
    the model; ``readers``: readers of large requests, by name; ``reading_module``:
    the module that runs them in a separate process; ``labels``: labels of the models' versions."""

    def __init__(self, models: Sequence[Model], settings: Settings, keys: KeyFile | None, remedy: str,
                 readers: Mapping[str, Reader], reading_module: str, labels: Labels | None = None) -> None:
        self.settings, self.keys = settings, keys
        self._remedy = remedy
        self.repository = Repository(models, labels)
        self.statistics = Statistics()
        self.metrics = Metrics(CLOCKS[settings.backend])
        self.pool = Pool(self.repository.default, settings, self.metrics)
        self.budget = Budget(settings.budget)
        self.dialogs = Streams(max(LEAST_DIALOGS, settings.budget // settings.max_message), MANY_DIALOGS)
        self.small_streams = Streams(MOST_SMALL, MANY_SMALL)
        self.offload = Offload(reading_module, settings.receive_timeout,
                               READING_MEMORY * settings.max_message + READING_LEAST)
        self._limits, self._readers = Limits.of(models, settings), readers
        self._giving: asyncio.Task[None] | None = None
        self.stopping = False
        self.metrics.watch(self._gauges, lambda: {"service": os.getpid(), **self.pool.processes(),
                                                  **self.offload.processes()})

    @property
    def ready(self) -> bool:
        return self.pool.ready and not self.stopping and self.repository.any_loaded

    async def start(self) -> None:
        self._giving = asyncio.create_task(give_back())
        await self.pool.start()

    async def stop(self) -> None:
        """Refuses new requests, finishes accepted ones, then ends the replicas."""
        self.stopping = True
        await self.pool.finish(self.settings.grace)
        await self.pool.close()
        self.offload.close()
        if self._giving is not None:
            self._giving.cancel()

    def find(self, name: str, version: int | None, label: str = "") -> Model:
        """A loaded model; raises ``ServiceError`` (NOT_FOUND) for an unloaded one, and for an unknown one, naming the known
        ones."""
        model = self.repository.find(name, version, label)
        if not self.repository.is_loaded(model):
            raise ServiceError(Kind.NOT_FOUND, f"{model} is unloaded; load it by {self._remedy.format(name=model.name)}")
        return model

    def state(self, model: Model) -> State:
        if not self.repository.is_loaded(model):
            return State.END
        if self.pool.holds(model):
            return State.AVAILABLE
        return State.LOADING if self.pool.queue.assigned is model else State.START

    async def read(self, reader: str, data: bytes | bytearray, facts: Mapping[str, Any], holding: Holding) -> Reading:
        """Parses a request's bytes and charges its inputs to ``holding``; raises ``ServiceError``.

        Long reads run in another process. ``facts``: further values for the reader.
        """
        holding.message(len(data))
        if self._readers[reader].is_quick(data, facts):
            reading = self._readers[reader].read(data, facts, self._limits)
        else:
            reading = Reading.unpack(*await self.offload.call(request_of(reader, facts, self._limits), [data]))
        holding.message(max(len(data), reading.bytes))
        return reading

    def request(self, model: Model, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Request:
        """Checks a request; raises ``ServiceError`` (INVALID) naming what does not fit the model and what would fit."""
        return Request.checked(model, inputs, outputs, self.settings)

    async def infer(self, request: Request, seconds: float | None = None) -> Result:
        """Runs a request within ``seconds`` and the service's own limit; raises ``ServiceError``."""
        begin = time.perf_counter()
        statistics = self.statistics.of(request.model)
        try:
            result, images = await self._answer(request, seconds)
        except (ServiceError, asyncio.CancelledError):
            statistics.fail.add(time.perf_counter() - begin)
            raise
        statistics.succeed(images, time.perf_counter() - begin, result.queue_seconds, result.preprocess_seconds,
                           result.device_seconds)
        return result

    async def _answer(self, request: Request, seconds: float | None) -> tuple[Result, int]:
        """The result and the number of images."""
        self._admit(request.model)
        limit = self.settings.timeout if seconds is None else min(seconds, self.settings.timeout)
        header, blocks = _frame(request)
        try:
            async with asyncio.timeout(limit):
                answer = await self.pool.submit(request.model, header, blocks)
        except TimeoutError:
            waiting = len(self.pool.queue)
            raise ServiceError(Kind.DEADLINE, f"no answer within {limit:.3g} s; {waiting} requests wait") from None
        self._measure(request.model, answer)
        arrays = restore(answer.header["outputs"], answer.blocks)
        result = Result(request.model, {name: arrays[port.name] for name, port in request.outputs.items()},
                        answer.queue_seconds, answer.header["preprocess_seconds"], answer.header["device_seconds"],
                        answer.header["cycles"], answer.header["seen"] or ())
        return result, answer.header["images"]

    async def measured(self, protocol: str, method: str, action: Callable[[], Awaitable[T]]) -> T:
        """Awaits ``action``, which answers a request; counts, times and logs it. Any exception becomes a
        ``ServiceError``."""
        begin = time.perf_counter()
        code = "CANCELLED"
        try:
            result = await action()
            code = "OK"
            return result
        except ServiceError as error:
            code = error.kind.grpc
            raise
        except ArrayloomError as error:
            code = Kind.INVALID.grpc
            raise ServiceError(Kind.INVALID, str(error)) from None
        except Exception as error:
            code = Kind.INTERNAL.grpc
            log.exception("unexpected failure in %s", method, extra={"event": "failure"})
            raise ServiceError(Kind.INTERNAL, f"unexpected {type(error).__name__}; see the service's log") from None
        finally:
            seconds = time.perf_counter() - begin
            self.metrics.requests.labels(protocol, method, code).inc()
            self.metrics.request_time.labels(protocol, method).observe(seconds)
            log.debug("%s %s", protocol, method, extra={"event": "call", "code": code,
                                                        "milliseconds": round(1000 * seconds, 3)})

    async def load(self, name: str, version: int | None) -> None:
        """Loads a model onto the devices and makes it the default; raises ``ServiceError``.

        Unloaded versions of that name become available again, or only the given version.
        """
        if self.stopping:
            raise ServiceError(Kind.UNAVAILABLE, "the service stops")
        begin = time.monotonic()
        model = self.repository.find(name, version)
        await self.pool.switch(model)
        self.repository.restore(self.repository.meant(name, version))
        self.repository.choose(model)
        log.info("switched to %s", model, extra={"event": "switch", "model": model.name, "version": model.version,
                                                 "seconds": round(time.monotonic() - begin, 4)})

    async def unload(self, name: str, version: int | None) -> None:
        """Unloads that version of a model, or all versions; accepted requests are finished.

        A device that holds it gets the default model instead. Raises ``ServiceError``.
        """
        models = self.repository.meant(name, version)
        self.repository.unload(models)
        log.info("unloaded %s", ", ".join(map(str, models)), extra={"event": "unload", "model": models[0].name,
                                                                    "versions": [model.version for model in models]})
        if self.repository.any_loaded and (self.pool.queue.assigned in models or self.pool.default in models):
            await self.pool.switch(self.repository.default)

    def _admit(self, model: Model) -> None:
        if self.stopping:
            raise ServiceError(Kind.UNAVAILABLE, "the service stops; ask another replica of it")
        if self.settings.reflash is Reflash.REFUSE and not (self.pool.ready and self.pool.queue.assigned is model):
            held = self.pool.queue.assigned
            state = f"it holds {held}" if self.pool.ready else f"it is being loaded with {held}"
            raise ServiceError(Kind.UNAVAILABLE, f"{model} is not on the device ({state}); try again later, or load it by "
                                                 f"{self._remedy.format(name=model.name)}")
        if len(self.pool.queue) >= self.settings.queue:
            raise ServiceError(Kind.FULL, f"{self.settings.queue} requests wait already (--queue); try again later")

    def _measure(self, model: Model, answer: Answer) -> None:
        metrics, header, labels = self.metrics, answer.header, (model.name, str(model.version))
        metrics.queue_time.labels(*labels).observe(answer.queue_seconds)
        metrics.preprocess_time.labels(*labels).observe(header["preprocess_seconds"])
        metrics.device_time.labels(*labels).observe(header["device_seconds"])
        metrics.images.labels(*labels).inc(header["images"])
        metrics.cycles.labels(*labels).inc(header["cycles"])
        metrics.macs.labels(*labels).inc(header["macs"])
        metrics.utilization.labels(*labels).set(header["macs"] / (header["multipliers"] * header["cycles"]))

    def _gauges(self) -> dict[str, float]:
        return {"queue_length": len(self.pool.queue), "queue_capacity": self.settings.queue,
                "requests_in_flight": self.pool.in_flight, "memory_held": self.budget.held,
                "memory_budget": self.budget.size, "ready": self.ready, "replicas": self.settings.replicas}


def _frame(request: Request) -> tuple[dict[str, Any], Sequence[Block]]:
    header: dict[str, Any] = {"op": "run", "model": request.model.key, "request_id": CURRENT.get(),
                              "outputs": sorted({port.name for port in request.outputs.values()})}
    first = next(iter(request.inputs.values()))
    if isinstance(first, list):
        return header | {"encoded": True, "look": request.look}, first
    entries, blocks = describe({name: array for name, array in request.inputs.items() if not isinstance(array, list)})
    return header | {"encoded": False, "inputs": entries}, blocks
