"""Devices: whatever executes a prepared memory. Emulator and RTL stand behind one interface."""

import time
from collections.abc import Callable
from typing import Protocol

from arrayloom.host.runtime.progress import Progress, Snapshot, layers_of
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program


class DeviceError(ArrayloomError):
    """A device that does not exist or a run that failed, with the cause that the device gives."""


class Device(Protocol):
    """Executes one program at a time."""

    name: str
    config: Config

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        """Runs ``program`` on ``memory`` (``arrayloom.isa.image.build_memory`` and inputs) and leaves the results in it."""

    def close(self) -> None:
        """Gives everything back; the device is not used afterwards."""


class EmulatorDevice:
    """The emulator; ``emulator`` holds the last run's capture when ``capture`` is set."""

    name = "emulator"

    def __init__(self, config: Config, capture: bool = False) -> None:
        self.config, self.capture = config, capture

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        from arrayloom.sim.emulator import Emulator

        self.emulator = Emulator(program, self.config)
        begin = time.perf_counter()
        self.emulator.execute(memory, self.capture, progress and _observer(program, progress))
        return RunReport(self.name, program.macs, self.config.multipliers, time.perf_counter() - begin)

    def close(self) -> None:
        """Nothing to give back."""


def _observer(program: Program, progress: Progress) -> Callable[[int], None]:
    layers, count = layers_of(program), len(program)
    return lambda index: progress(Snapshot(index + 1, count, layers[index], (index + 1) / count))


def open_device(backend: str, config: Config) -> Device:
    """The device of that name: ``emulator`` or ``rtl``; raises ``DeviceError`` for any other."""
    if backend == "emulator":
        return EmulatorDevice(config)
    if backend == "rtl":
        from arrayloom.host.runtime.rtl_device import RtlDevice

        return RtlDevice(config)
    raise DeviceError(f"backend {backend!r}: unknown; there are emulator and rtl")
