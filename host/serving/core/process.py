"""The service's end of a replica."""

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Any

from arrayloom.host.serving.core.frames import Block, pack, receive
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ClosedError, Kind, ReplicaLostError, RunTooLongError, ServiceError
from arrayloom.sim.rtl.process import PYTHON

BUFFER = 1 << 22
MODULE = "arrayloom.host.serving.core.replica"
STOP_SECONDS, STARTING_SECONDS = 5.0, 0.5
"""Seconds for a replica to end by itself; fewer for one without a model, which has nothing to finish."""
STANDARD_ERROR = 2


class ReplicaProcess:
    """A running replica. ``model``: the model on its device; ``held``: whether it ever held one; ``lost``: whether
    the process has ended."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                 on_exit: Callable[[], None]) -> None:
        self._process, self._reader, self._writer = process, reader, writer
        self.model: Model | None = None
        self.held = False
        self.lost = False
        self._on_exit = on_exit
        self._watch = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, settings: Settings, on_exit: Callable[[], None]) -> "ReplicaProcess":
        """Starts the process; ``on_exit`` is called when it ends for any reason."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *PYTHON, "-m", MODULE, str(theirs.fileno()), settings.backend,
                str(settings.max_pixels), str(settings.threads_each),
                stdin=asyncio.subprocess.DEVNULL, stdout=STANDARD_ERROR,
                pass_fds=[theirs.fileno()], env=_environment(settings))
        reader, writer = await asyncio.open_connection(sock=ours, limit=BUFFER)
        return cls(process, reader, writer, on_exit)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def load(self, model: Model) -> float:
        """Loads a model onto the device; returns the seconds it took. Raises ``ServiceError``, ``ReplicaLostError``."""
        self.model = None
        answer, _ = await self._call({"op": "load", "folder": str(model.folder)}, [], None)
        if answer["model"] != model.key:
            raise ServiceError(Kind.UNAVAILABLE, f"{model.folder}: holds {answer['model']} by now, not {model.key}; start "
                                                 "the service again")
        self.model, self.held = model, True
        return answer["seconds"]

    async def run(self, header: dict[str, Any], blocks: Sequence[Block],
                  limit: float) -> tuple[dict[str, Any], list[memoryview]]:
        """Runs a request in at most ``limit`` seconds. Raises ``ServiceError``, ``ReplicaLostError``."""
        return await self._call(header, blocks, limit)

    def cancel(self) -> None:
        """Asks the replica to stop its run after the current image; the run then fails with DEADLINE."""
        for piece in pack({"op": "cancel"}, []):
            self._writer.write(piece)

    async def stop(self) -> None:
        """Ends the process, by force if it does not end by itself."""
        self._writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS if self.held else STARTING_SECONDS):
                await asyncio.shield(self._watch)
        self.kill()
        await self._watch

    def kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _call(self, header: dict[str, Any], blocks: Sequence[Block],
                    limit: float | None) -> tuple[dict[str, Any], list[memoryview]]:
        try:
            async with asyncio.timeout(limit):
                for piece in pack(header, blocks):
                    self._writer.write(piece)
                await self._writer.drain()
                answer, content = await receive(self._reader)
        except TimeoutError:
            self.kill()
            raise RunTooLongError(f"the run took longer than {limit} s (--device-timeout)") from None
        except (ClosedError, OSError):
            self.kill()
            await self._watch
            raise ReplicaLostError(f"the process ended ({_cause(self._process.returncode)})") from None
        if "error" in answer:
            raise ServiceError(Kind[answer["error"]], answer["message"])
        return answer, content

    async def _wait(self) -> None:
        await self._process.wait()
        self.lost = True
        self._on_exit()


def _cause(code: int | None) -> str:
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _environment(settings: Settings) -> dict[str, str]:
    """Environment that limits linear algebra libraries to the replica's threads."""
    threads = str(settings.threads_each)
    return os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
