"""What executes programs: one interface, which emulator, RTL and board offer alike (``backends.py``)."""

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

    Attributes:
        addresses: uint32[n], of words.
        words: int8[n, size].
    """

    addresses: NDArray[np.uint32]
    words: NDArray[np.int8]


class Device(Protocol):
    """Executes one program at a time; one thread at a time.

    Attributes:
        name: of the backend, ``emulator``, ``rtl`` or ``board``.
        config: of the accelerator; it runs programs that were compiled for it.
    """

    name: str
    config: Config

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs ``program`` on ``memory`` (``arrayloom.isa.image.build_memory`` and inputs) and leaves the results in it.

        Raises ``DeviceError`` when the run fails, ``ProgramError`` for a program of another configuration.
        """

    def trace(self) -> Writes | None:
        """What the POST unit wrote in the last run; None: cannot be seen.

        Raises ``DeviceError`` before the first run, and from a device that was made without recording.
        """

    def capture(self) -> Capture | None:
        """What every POST instruction of the last run computed, also where it was never written; None: cannot be seen.

        Raises ``DeviceError`` as ``trace`` does.
        """

    def close(self) -> None:
        """Gives everything back; the device is not used afterwards."""


@runtime_checkable
class BatchDevice(Device, Protocol):
    """A device that can run the images of a batch together."""

    def prepare(self, program: Program) -> bool:
        """Does once what runs of ``program`` need; whether it runs batches. If not, it runs by ``execute``."""

    def run_batch(self, program: Program, inputs: Mapping[str, NDArray[Any]], ports: Sequence[Output],
                  progress: Progress | None = None) -> tuple[dict[str, NDArray[Any]], RunReport]:
        """Integer inputs by name, [N, ...] each, to the integers of ``ports`` by name, [N, C, H, W]."""
