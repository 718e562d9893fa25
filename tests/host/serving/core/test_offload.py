"""Processes that parse large messages: kept while busy, ended when idle."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arrayloom.host.serving.core import offload
from arrayloom.host.serving.core.offload import Offload
from arrayloom.host.serving.core.reading import Limits, Reading, request_of
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT

LIMITS = Limits(message=1 << 20, batch=1, values=1, containers=1)
EMPTY = b""      # a request without inputs


@pytest.fixture
def reader() -> Iterator[Offload]:
    found = Offload("arrayloom.host.serving.offloaded", seconds=60, memory=1 << 30)
    yield found
    found.close()


def _read(reader: Offload) -> set[int]:
    """Parses a message; returns the processes that exist afterwards."""
    header = request_of(PREDICT.reader, {}, LIMITS)
    assert Reading.unpack(*asyncio.run(reader.call(header, [EMPTY]))).inputs == {}
    return set(reader.processes().values())


def _wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_idle_ones_end(reader: Offload, monkeypatch: pytest.MonkeyPatch) -> None:
    (process,) = _read(reader)
    monkeypatch.setattr(offload, "IDLE_SECONDS", 0.1)
    _read(reader)
    _wait_for(lambda: not reader.processes())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    (another,) = _read(reader)
    assert another != process


def test_one_that_was_killed_is_replaced(reader: Offload) -> None:
    for process in _read(reader) | _read(reader):
        os.kill(process, signal.SIGKILL)
        _wait_for(lambda process=process: _ended(process))      # type: ignore[misc]
    assert _read(reader)
    assert _read(reader)


def _ended(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] == "Z"
