"""Parses large requests in separate processes, as this would block the event loop.

The event loop keeps answering meanwhile, and a hostile message can exhaust only the memory and time of a
process that is then ended. Each thread of a small pool owns one such process and waits for it.
"""

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from arrayloom.host.serving.core.frames import Block, receive_blocking, send_blocking
from arrayloom.host.serving.core.logs import log
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.errors import ClosedError, Kind, ServiceError
from arrayloom.sim.rtl.process import PYTHON

WORKERS = 2
LARGEST_KEPT = 96 << 20
"""Resident bytes above which a process is replaced, since it does not return its memory to the system by itself."""

IDLE_SECONDS = 5.0
"""Seconds after which an idle process ends, so that memory comes back after a burst of large messages."""

STANDARD_ERROR = 2
Frame = tuple[dict[str, Any], Sequence[Block]]


class Offload:
    """The processes, started on demand. ``module``: the Python module that they run; ``seconds``: time limit of one message;
    ``memory``: bytes that one may allocate beyond what it has at its start."""

    def __init__(self, module: str, seconds: float, memory: int) -> None:
        self._module, self._seconds, self._memory = module, seconds, memory
        self._threads = ThreadPoolExecutor(WORKERS, "offload")
        self._own = threading.local()
        self._workers: set[_Worker] = set()

    async def call(self, header: dict[str, Any], blocks: Sequence[Block]) -> tuple[dict[str, Any], list[memoryview]]:
        """The answer to a frame; raises ``ServiceError``."""
        answer, content = await asyncio.get_running_loop().run_in_executor(self._threads, self._exchange, header, blocks)
        if "error" in answer:
            raise ServiceError(Kind[answer["error"]], answer["message"])
        return answer, content

    def processes(self) -> dict[str, int]:
        """Process identifiers by role."""
        return {f"reader {index}": pid for index, pid in enumerate(sorted(worker.process.pid for worker in self._workers))}

    def close(self) -> None:
        """Ends all processes and abandons their work."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in list(self._workers):
            worker.end()

    def _exchange(self, header: dict[str, Any], blocks: Sequence[Block]) -> tuple[dict[str, Any], list[memoryview]]:
        worker = getattr(self._own, "worker", None)
        if worker is not None and not worker.claim():
            self._workers.discard(worker)
            worker = None
        if worker is None:
            worker = self._own.worker = _Worker(self._module, self._memory)
            self._workers.add(worker)
        timer = threading.Timer(self._seconds, worker.end)
        timer.start()
        kept = False
        try:
            send_blocking(worker.connection, header, blocks)
            answer = receive_blocking(worker.connection)
            kept = resident_bytes(worker.process.pid) < LARGEST_KEPT
            return answer
        except ClosedError:
            log.warning("a process that read a request ended", extra={"event": "reader_lost"})
            raise ServiceError(Kind.INVALID, f"the message could not be read within {self._seconds} s and the memory for "
                                             "that; send a smaller one") from None
        finally:
            timer.cancel()
            if kept:
                worker.rest(lambda: self._workers.discard(worker))
            else:
                worker.end()
                self._workers.discard(worker)


class _Worker:
    """One process and the socket to it; claimed from its creation on."""

    def __init__(self, module: str, memory: int) -> None:
        self._lock, self._resting = threading.Lock(), False
        self._timer: threading.Timer | None = None
        self.connection, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*PYTHON, "-m", module, str(theirs.fileno()), str(memory)], stdin=subprocess.DEVNULL, stdout=STANDARD_ERROR,
                pass_fds=[theirs.fileno()], env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})

    def claim(self) -> bool:
        """Claims the process for a message; False if it has ended."""
        with self._lock:
            self._resting = False
            if self._timer is not None:
                self._timer.cancel()
            return self.process.poll() is None

    def rest(self, ended: Callable[[], None]) -> None:
        """Ends the process after an idle time unless it is claimed before; then calls ``ended``."""
        self._resting = True
        self._timer = threading.Timer(IDLE_SECONDS, self._retire, [ended])
        self._timer.daemon = True
        self._timer.start()

    def _retire(self, ended: Callable[[], None]) -> None:
        with self._lock:
            if self._resting:
                self.end()
                ended()

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.process.wait()
        self.connection.close()
