"""The code that runs on the nodes of a Ray cluster."""

import os
import pickle
import socket
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from arrayloom.host.pool.outcome import Outcome, failure, outcome, throttled
from arrayloom.host.pool.parcel import flat
from arrayloom.host.pool.task import ATTEMPTS, Machine

Parcel = tuple[bytes, list[NDArray[np.uint8]]]
"""A value in Ray's store: its pickle and the bytes of its arrays, which readers on one node share."""


class Begun(NamedTuple):
    """A task as sent; ``shared``: keys of shared arguments, by position; ``run``: identifies the run."""

    run: str
    number: int
    name: str
    shared: dict[int, str]


class Answer(NamedTuple):
    """A task's answer; ``outcome`` is None if the task was started too often."""

    outcome: Outcome | None
    machine: Machine
    attempt: int


class Board:
    """An actor that collects the tasks' progress for the waiting process."""

    def __init__(self) -> None:
        self._begun: dict[int, int] = {}
        self._news: dict[int, float] = {}

    def begin(self, index: int) -> int:
        """Counts a start of a task; returns how often it has started."""
        self._begun[index] = self._begun.get(index, 0) + 1
        self._news[index] = 0.0
        return self._begun[index]

    def move(self, index: int, done: float) -> None:
        """Records the work done of a task."""
        self._news[index] = done

    def news(self) -> dict[int, float]:
        """The progress since the last call."""
        news, self._news = self._news, {}
        return news


def parcel(value: Any) -> Parcel:
    """Packs a value for Ray's store; passes on errors of pickling."""
    body, buffers = flat(value)
    return body, [np.frombuffer(buffer, np.uint8) for buffer in buffers]


def opened(carried: Parcel) -> Any:
    """Unpacks the value; its arrays are read-only if they are in Ray's store."""
    body, buffers = carried
    return pickle.loads(body, buffers=buffers)


def run(begun: Begun, attempt: int, call: Any, lent: Mapping[str, Any], board: Any) -> Parcel:
    """Runs one task. ``call`` and ``lent``, by key, refer to parcels in Ray's store; ``board`` is the ``Board``."""
    machine = Machine(socket.gethostname(), os.getpid(), ray.get_runtime_context().get_node_id())
    if attempt > ATTEMPTS:      # Ray restarts without limit the tasks that it stopped for lack of memory
        return parcel(Answer(None, machine, ATTEMPTS))
    result = _outcome(begun, call, lent, throttled(lambda done: board.move.remote(begun.number, done)))
    try:
        return parcel(Answer(result, machine, attempt))
    except Exception as error:      # pickle does not support the value
        return parcel(Answer(Outcome(result.seconds, failure=failure(begun.name, error)), machine, attempt))


def _outcome(begun: Begun, call: Any, lent: Mapping[str, Any], progress: Callable[[float], None]) -> Outcome:
    try:
        function, arguments = opened(ray.get(call))
        for position, key in begun.shared.items():
            arguments[position] = _values_of(begun.run, key, lent)
    except Exception as error:      # an import by pickle failed
        return Outcome(0.0, failure=failure(begun.name, error))
    return outcome(begun.name, function, tuple(arguments), progress)


_values: dict[str, dict[str, Any]] = {}
"""The shared values, by key, of the run that this process last worked for."""


def _values_of(run: str, key: str, lent: Mapping[str, Any]) -> Any:
    if run not in _values:
        _values.clear()
    values = _values.setdefault(run, {})
    if key not in values:
        values[key] = opened(ray.get(lent[key]))
    return values[key]
