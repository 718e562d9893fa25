"""A service under test: ``arrayloom serve`` in a separate process, its log, and its memory limit."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrayloom.compiler import compile_model
from arrayloom.host.models import digits
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.core.process import MODULE
from arrayloom.sim.rtl.process import PYTHON

START_SECONDS = 180
CGROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
"""Parent folders of control groups with a memory limit: for version 1 and version 2."""


@dataclass(frozen=True)
class Service:
    """``facts``: content of the ready file."""

    process: subprocess.Popen[bytes]
    log: Path
    facts: dict[str, Any]

    @property
    def port(self) -> int:
        return int(self.facts["port"])

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def events(self, name: str) -> list[dict[str, Any]]:
        """The entries of the log for an event."""
        lines = (json.loads(line) for line in self.log.read_text(errors="replace").splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("event") == name]

    def children(self) -> list[int]:
        """Its processes: replicas, spares and readers."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
        return found

    def replicas(self) -> list[int]:
        """Its replicas and spares, the oldest first: a spare is younger than the replicas that it may replace."""
        return sorted(filter(is_replica, self.children()))

    def resident(self) -> int:
        """Memory of all its processes in bytes."""
        return sum(map(resident_bytes, [self.process.pid, *self.children()]))


def is_replica(process: int) -> bool:
    """Whether a process runs a device of a service; readers of messages do not."""
    try:
        return MODULE.encode() in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


@contextlib.contextmanager
def digits_service(options: list[str], memory: int | None = None) -> Iterator[Service]:
    """The digits network on free ports; ``memory``: limit in bytes for all its processes, which needs root."""
    with tempfile.TemporaryDirectory() as scratch, _limited(memory) as group:
        folder = Path(scratch)
        Bundle.create("digits", compile_model(digits.MODEL, config="16x16"), 1, digits.LABELS, "digits").save(folder / "one")
        command = [*PYTHON, "-m", "arrayloom", "serve", str(folder / "one"), "--port", "0", "--http-port", "0",
                   "--ready-file", str(folder / "ready.json"), "--log-level", "warning", *options]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(_joining(group, command), stdout=log, stderr=log)
        try:
            _wait(process, folder)
            yield Service(process, folder / "log", json.loads((folder / "ready.json").read_text()))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait()


@contextlib.contextmanager
def _limited(memory: int | None) -> Iterator[Path | None]:
    """A control group with a memory limit."""
    if memory is None:
        yield None
        return
    parent = next((each for each in CGROUPS if any(each.glob("memory.*"))), CGROUPS[1])
    name = "memory.limit_in_bytes" if parent == CGROUPS[0] else "memory.max"
    group = parent / f"arrayloom-{os.getpid()}"
    try:
        group.mkdir()
        (group / name).write_text(str(memory))
    except OSError as error:
        raise InputError(f"--memory-limit {memory}: {group}: {error.strerror}; a limit needs root and the memory "
                         "controller of cgroups") from None
    try:
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def _joining(group: Path | None, command: list[str]) -> list[str]:
    """The command, started inside the group."""
    if group is None:
        return command
    return ["/bin/sh", "-c", f'echo $$ > "{group}/cgroup.procs" && exec "$@"', "sh", *command]


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not (folder / "ready.json").exists():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise InputError(f"the service did not start:\n{(folder / 'log').read_text()}")
        time.sleep(0.05)
