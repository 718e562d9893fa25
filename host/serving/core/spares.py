"""Standby replicas for those that are lost, so that no request waits for a process to start."""

import asyncio
import contextlib
from collections.abc import Callable

from arrayloom.host.serving.core.process import ReplicaProcess
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ReplicaLostError, ServiceError

REPLACE_SECONDS, RETRY_SECONDS = 1.0, 10.0
"""Seconds before a spare that ended idle or failed to load is replaced: one that always fails must not keep
the machine busy."""


class Spares:
    """``on_exit`` is called when a spare ends; ``wanted``: the model that the next one loads."""

    def __init__(self, settings: Settings, on_exit: Callable[[], None], wanted: Callable[[], Model]) -> None:
        self._settings, self._on_exit, self._wanted = settings, on_exit, wanted
        self._ready: list[ReplicaProcess] = []
        self._starting: ReplicaProcess | None = None
        self._filling: asyncio.Task[None] | None = None
        self._closed = False

    async def take(self) -> ReplicaProcess:
        """A living spare, else a new process; raises ``OSError`` if that cannot be started."""
        living = [process for process in self._ready if not process.lost]
        if not living:
            return await ReplicaProcess.start(self._settings, self._ended)
        self._ready = living[1:]
        self.fill()
        return living[0]

    def fill(self) -> None:
        """Starts missing spares in the background."""
        if not self._closed and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    def processes(self) -> dict[str, int]:
        """Process identifiers by role."""
        return {f"spare {index}": process.pid for index, process in enumerate(self._ready)}

    async def close(self) -> None:
        self._closed = True
        if self._filling is not None:
            self._filling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filling
        left = [*self._ready, *([self._starting] if self._starting else [])]
        await asyncio.gather(*(process.stop() for process in left))

    async def _fill(self) -> None:
        """Starts a spare; the replica that needs it reports a failed start or load."""
        while True:
            if any(process.lost for process in self._ready):
                await asyncio.sleep(REPLACE_SECONDS)
                self._ready = [process for process in self._ready if not process.lost]
            if len(self._ready) >= self._settings.spares:
                return
            try:
                process = self._starting = await ReplicaProcess.start(self._settings, self._ended)
                with contextlib.suppress(ServiceError):
                    await process.load(self._wanted())
            except (OSError, ReplicaLostError):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._starting = None
            self._ready.append(process)     # not earlier: only one task at a time may use its socket

    def _ended(self) -> None:
        """Called when a replica or a spare ends; a spare is replaced."""
        self._on_exit()
        if any(process.lost for process in self._ready):
            self.fill()
