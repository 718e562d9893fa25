"""The interface for executing programs, implemented by emulator, RTL and board (``backends.py``)."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.report import Progress, RunReport
from arrayloom.isa.config import Config
from arrayloom.isa.image import Memory
from arrayloom.isa.ports import Output
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture


class Writes(NamedTuple):
    """Words that the POST unit wrote to the scratchpad, in order.

    Attributes
    ----------
    addresses
        uint32[n], word addresses.
    words
        int8[n, size].
    """

    addresses: NDArray[np.uint32]
    words: NDArray[np.int8]


class Device(Protocol):
    """Executes one program at a time; one thread at a time.

    Attributes
    ----------
    name
        Name of the backend: ``emulator``, ``rtl`` or ``board``.
    config
        Configuration of the accelerator; programs must be compiled for it.
    """

    name: str
    config: Config

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs ``program`` on ``memory`` (``arrayloom.isa.image.build_memory`` and inputs) and leaves the results in it.

        Raises ``DeviceError`` if the run fails, ``ProgramError`` for a program of another configuration.
        """

    def trace(self) -> Writes | None:
        """The POST unit's writes in the last run; None if the device cannot observe them.

        Raises ``DeviceError`` before the first run, and if the device was created without recording.
        """

    def capture(self) -> Capture | None:
        """The results of every POST instruction of the last run, even if never written; None if the device cannot observe
        them.

        Raises ``DeviceError`` as ``trace`` does.
        """

    def close(self) -> None:
        """Releases everything; the device must not be used afterwards."""


@runtime_checkable
class BatchDevice(Device, Protocol):
    """A device that can run the images of a batch together."""

    def prepare(self, program: Program) -> bool:
        """Prepares runs of ``program``; returns whether batches are supported. If not, use ``execute``."""

    def run_batch(self, program: Program, inputs: Mapping[str, NDArray[Any]], ports: Sequence[Output],
                  progress: Progress | None = None) -> tuple[dict[str, NDArray[Any]], RunReport]:
        """Runs integer inputs by name, each [N, ...]; returns the integers of ``ports`` by name, each [N, C, H, W]."""
