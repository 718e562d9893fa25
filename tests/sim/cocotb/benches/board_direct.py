"""The in-process simulator with the methods of the board, so that one body of a check runs on both."""

from collections.abc import Coroutine
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.simulator import RESET_CYCLES, RtlSimulator, Stop


class DirectBoard:
    """``simulator``, whose methods return at once, to be awaited all the same."""

    def __init__(self, simulator: RtlSimulator, config: Config) -> None:
        self.simulator, self.config = simulator, config
        self.memory, self.base = simulator.memory, simulator.base
        self.add_fault, self.clear_faults = simulator.add_fault, simulator.clear_faults
        simulator.record()

    @property
    def irq(self) -> bool:
        return self.simulator.irq

    async def read_register(self, address: int) -> int:
        return self.simulator.read_register(address)

    async def write_register(self, address: int, value: int) -> None:
        self.simulator.write_register(address, value)

    async def run(self, max_cycles: int) -> Stop:
        return self.simulator.run(max_cycles)

    async def reset(self) -> None:
        self.simulator.reset()

    async def reset_core(self, cycles: int = RESET_CYCLES) -> None:
        self.simulator.reset_core(cycles)

    def take_trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        return self.simulator.take_trace()


def complete(check: Coroutine[Any, Any, None]) -> None:
    """Runs a check that never has to wait."""
    try:
        check.send(None)
    except StopIteration:
        return
    raise RuntimeError("the check waits for something that no simulator drives")
