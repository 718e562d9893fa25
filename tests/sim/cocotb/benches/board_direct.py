"""The in-process simulator with the methods of the board, so that both can run the same checks."""

from collections.abc import Coroutine
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transcript import Record, Transcript

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.simulator import RESET_CYCLES, RtlSimulator, Stop


class DirectBoard:
    """``simulator`` with awaitable methods that return at once. Everything observed is recorded."""

    def __init__(self, simulator: RtlSimulator, config: Config) -> None:
        self.simulator, self.config = simulator, config
        self.memory, self.base = simulator.memory, simulator.base
        self.add_fault, self.clear_faults = simulator.add_fault, simulator.clear_faults
        self.transcript = Transcript()
        simulator.record()
        simulator.record_events()

    @property
    def irq(self) -> bool:
        return self.simulator.irq

    async def read_register(self, address: int) -> int:
        try:
            value = self.simulator.read_register(address)
        except SimulationError:
            self._note("no read", address)
            raise
        self._note("read", address, value)
        return value

    async def write_register(self, address: int, value: int) -> None:
        try:
            self.simulator.write_register(address, value)
        except SimulationError:
            self._note("no write", address)
            raise
        self._note("write", address)

    async def run(self, max_cycles: int) -> Stop:
        stop = self.simulator.run(max_cycles)
        self._note("run", stop.value)
        return stop

    async def reset(self) -> None:
        self.simulator.reset()

    async def reset_core(self, cycles: int = RESET_CYCLES) -> None:
        self.simulator.reset_core(cycles)

    def take_trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        trace = self.simulator.take_trace()
        self.transcript.add("trace", *trace)
        return trace

    def seen(self) -> Record:
        """Everything observed so far."""
        self.transcript.add("events", self.simulator.take_events())
        self.transcript.add("memory", self.memory, self.simulator.statistics)
        return self.transcript.record(self.simulator.cycles)

    def _note(self, what: str, *values: int) -> None:
        self.transcript.add(what, *values, self.simulator.cycles, self.irq)


def complete(check: Coroutine[Any, Any, None]) -> None:
    """Runs a check that never has to wait."""
    try:
        check.send(None)
    except StopIteration:
        return
    raise RuntimeError("the check waits for something that no simulator drives")
