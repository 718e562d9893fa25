"""A worker process, as seen by its parent."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Pipe

from arrayloom.host.pool.channel import Begin, Channel, Leave, Lend, Moved, taken
from arrayloom.host.pool.outcome import Outcome
from arrayloom.host.pool.sessions import kill_session
from arrayloom.host.pool.task import Machine, Shared, Task
from arrayloom.sim.rtl.process import PYTHON

END_SECONDS = 5.0
POLL_SECONDS = 0.005
MAIN = "import sys; sys.path[:] = {path!r}; from arrayloom.host.pool.worker import main; main({descriptor})"


class WorkerEndedError(Exception):
    """The process has ended by itself, with an exit code as in ``subprocess``. ``remedy``: advice for the user."""

    def __init__(self, code: int) -> None:
        if code == -signal.SIGKILL:
            said = "was killed (SIGKILL), as the system does when memory runs out"
            self.remedy = "fewer workers at once need less memory"
        else:
            said = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            self.remedy = "run it without workers to see more of it"
        super().__init__(said)


class WorkerProcess:
    """A new process that waits for tasks. It finds modules where this one does; what it prints goes to standard error.

    It leads its own session, so Ctrl-C in the terminal reaches only this process, which then ends the worker.
    """

    def __init__(self) -> None:
        own, other = Pipe()
        with other:
            command = MAIN.format(path=sys.path, descriptor=other.fileno())
            self._process = subprocess.Popen([*PYTHON, "-c", command], pass_fds=[other.fileno()],
                                             stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
        self._channel = Channel(own)
        self._lent: set[str] = set()
        self._ending = threading.Lock()
        self.machine = Machine(socket.gethostname(), self._process.pid)

    def run(self, task: Task, moved: Callable[[float], None]) -> Outcome:
        """Runs a task to its end; raises ``WorkerEndedError`` if the process ends before it, and errors of pickling."""
        try:
            self._begin(task)
            while True:
                message, file = self._channel.receive()
                if isinstance(message, Moved):
                    moved(message.done)
                elif file is not None:
                    return taken(file)
        except (EOFError, OSError):
            raise WorkerEndedError(self._wait()) from None

    def _begin(self, task: Task) -> None:
        shared = {position: one for position, one in enumerate(task.arguments) if isinstance(one, Shared)}
        for one in shared.values():
            if one.key not in self._lent:
                self._channel.send(Lend(one.key), one.value)
                self._lent.add(one.key)
        arguments = [None if position in shared else value for position, value in enumerate(task.arguments)]
        keys = {position: one.key for position, one in shared.items()}
        self._channel.send(Begin(task.name, keys), (task.function, arguments))

    def leave(self) -> None:
        """Ends the idle process and waits for its end."""
        with suppress(OSError):     # it has ended already
            self._channel.send(Leave())
        self._wait()

    def kill(self) -> None:
        """Ends the process and its children at once; may be called from any thread."""
        with self._ending:
            if self._process.returncode is None:
                kill_session(self._process.pid)

    def _wait(self) -> int:
        """Ends the process and its remaining children if they still run; returns its exit code."""
        deadline = time.monotonic() + END_SECONDS
        while not self._has_ended() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        self.kill()
        with self._ending:
            self._channel.close()
            return self._process.wait()

    def _has_ended(self) -> bool:
        """Waits for the process without reaping it, since its number still identifies its session."""
        return (self._process.returncode is not None
                or os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None)
