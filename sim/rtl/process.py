"""Runs tools in parallel such that none outlives an interruption, and reports a build's progress."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from arrayloom.sim.rtl.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]
"""The folder of hdl, isa and sim."""

PYTHON = (sys.executable, "-P")
"""Python's command line for child processes: without the user's current folder on the path."""
DEEP_STACK = ("/bin/sh", "-c", 'ulimit -S -s "$(ulimit -H -s)"; exec "$@"', "sh")
"""Prefix of commands that raises the stack limit, since Verilator and the compiler recurse deeply on large designs. A
``preexec_fn`` would run Python's fork handlers, in which a simultaneous Ctrl-C is lost."""
POLL_SECONDS = 0.01
SHOWN_LINES = 25

Report = Callable[[str], None]
"""Called with one line of progress."""


class StoppedError(BuildError):
    """A part of a build was ended because the rest of the build has ended."""


class Stopwatch:
    """A ``Report`` that prints each line on stderr, preceded by the seconds since its creation."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._begin:6.1f} s] {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Job:
    """A command and its name in reports."""

    name: str
    command: Sequence[str | Path]


def run_tool(command: Sequence[str | Path], name: str, cwd: Path, env: Mapping[str, str] | None = None) -> None:
    """Runs one command in ``cwd``. Raises ``BuildError`` with the end of its output if it fails."""
    run_jobs([Job(name, command)], 1, cwd, env=env)


def run_jobs(jobs: Sequence[Job], workers: int, cwd: Path, started: Callable[[int, Job], None] | None = None,
             env: Mapping[str, str] | None = None, stop: Event | None = None) -> None:
    """Runs the jobs in ``cwd``, at most ``workers`` at once, in order; ``started`` is called with index and job.

    Raises ``BuildError`` for the first that fails, ``StoppedError`` if ``stop`` is set. No job is left running, however
    this call ends.
    """
    waiting = list(enumerate(jobs))[::-1]
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index, job = waiting.pop()
                if started is not None:
                    started(index, job)
                running.append(_Running(job, cwd, env))
            running = [one for one in running if not one.finished()]
            if (stop or Event()).wait(POLL_SECONDS):
                raise StoppedError
    finally:
        for one in running:
            one.kill()


class _Running:
    def __init__(self, job: Job, cwd: Path, env: Mapping[str, str] | None) -> None:
        self._job = job
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process, and no pipe that could fill up
        # a separate process group: a compiler has children, which would outlive it if only it were killed
        self._process = subprocess.Popen([*DEEP_STACK, *(str(part) for part in job.command)], cwd=cwd, env=env,
                                         stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT,
                                         process_group=0)

    def finished(self) -> bool:
        """True after success; raises after failure."""
        code = self._process.poll()
        if code is None:
            return False
        text = self._text()
        if code:
            raise BuildError(f"{self._job.name} failed: {_describe(code)}\n{text}")
        return True

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def _text(self) -> str:
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()
        self._output.close()
        return "\n".join(lines[-SHOWN_LINES:])


def _describe(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed, as the system does when memory runs out; free some, or build with fewer jobs"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def default_workers() -> int:
    """One job for each processor that this process may use."""
    return len(os.sched_getaffinity(0))
