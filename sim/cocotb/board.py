"""The whole accelerator under cocotb, with the interface of the in-process simulator (``arrayloom.sim.rtl.simulator``)."""

from typing import Any, Self

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.sim.cocotb.memory import BoardMemory, Traffic, connect_memory
from arrayloom.sim.cocotb.registers import Registers
from arrayloom.sim.rtl.simulator import RESET_CYCLES, Stop

PERIOD_NS = 10


async def start_clock(dut: Any) -> None:
    """Starts the clock and takes the design through its reset."""
    Clock(dut.clk, PERIOD_NS, unit="ns").start()
    await reset(dut)


async def reset(dut: Any) -> None:
    """Holds the design in reset for a few cycles."""
    dut.rst.value = 1
    await ClockCycles(dut.clk, RESET_CYCLES)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)


class Board:
    """One accelerator and its memory; its methods are those of ``RtlSimulator``, but awaitable.

    ``memory`` is uint8, at bus address ``base``; it is shared, not copied.
    """

    def __init__(self, dut: Any, config: Config, memory: NDArray[np.uint8], base: int, traffic: Traffic) -> None:
        self.dut, self.config, self.memory, self.base = dut, config, memory, base
        self.bus = BoardMemory(memory, base, dut.clk, traffic)
        self.registers = Registers(dut, "axil_", traffic)
        connect_memory(dut, "axi_", self.bus)
        self._trace: list[tuple[int, int]] = []

    @classmethod
    async def open(cls, dut: Any, config: Config, memory: NDArray[np.uint8], base: int = 0,
                   traffic: Traffic | None = None) -> Self:
        """Creates a board out of reset that records its trace port."""
        board = cls(dut, config, memory, base, traffic or Traffic())
        dut.core_reset.value = 0
        await start_clock(dut)
        cocotb.start_soon(board._record())
        return board

    @property
    def irq(self) -> bool:
        """The level of the interrupt."""
        return bool(self.dut.irq.value)

    async def reset(self) -> None:
        """Holds the accelerator in reset; bursts in flight are forgotten."""
        await reset(self.dut)

    async def reset_core(self, cycles: int = RESET_CYCLES) -> None:
        """Holds everything except the accelerator's bus interfaces in reset; the memory continues the bursts in flight."""
        self.dut.core_reset.value = 1
        await ClockCycles(self.dut.clk, cycles)
        self.dut.core_reset.value = 0
        await ClockCycles(self.dut.clk, 1)

    def add_fault(self, address: int, size: int) -> None:
        """From now on the bus answers SLVERR for the ``size`` bytes at bus ``address``, without transferring data."""
        self.bus.faults.append(range(address, address + size))

    def clear_faults(self) -> None:
        """Removes all faults of ``add_fault``."""
        self.bus.faults.clear()

    async def write_register(self, address: int, value: int) -> None:
        """Writes 32 bits over AXI4-Lite. Raises ``SimulationError`` if the accelerator refuses."""
        await self.registers.write(address, value)

    async def read_register(self, address: int) -> int:
        """Reads 32 bits over AXI4-Lite. Raises ``SimulationError`` when the accelerator refuses."""
        return await self.registers.read(address)

    async def run(self, max_cycles: int) -> Stop:
        """Runs until the interrupt is up, or for ``max_cycles``."""
        if self.irq:
            return Stop.IRQ
        limit = ClockCycles(self.dut.clk, max_cycles)
        return Stop.LIMIT if await First(limit, RisingEdge(self.dut.irq)) is limit else Stop.IRQ

    def take_trace(self) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """The words that POST wrote since the last call, in order: addresses [n], and words [n, bytes in a word]."""
        trace, self._trace, size = self._trace, [], self.config.size
        words = b"".join(word.to_bytes(size, "little") for _, word in trace)
        return (np.array([address for address, _ in trace], np.uint32),
                np.frombuffer(words, np.int8).reshape(len(trace), size))

    async def _record(self) -> None:
        dut = self.dut
        edge = RisingEdge(dut.clk)
        while True:
            await edge
            if dut.trace__valid.value:
                self._trace.append((dut.trace__address.value.to_unsigned(), dut.trace__data.value.to_unsigned()))
