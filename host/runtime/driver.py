"""The driver of the accelerator: registers, doorbell, interrupt."""

from collections.abc import Callable
from typing import Protocol

from arrayloom.host.runtime.errors import DeviceError
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Unit
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import IDENTITY_VALUE, Cause, Control, Register, StatusWord, blocks_of, counter_address
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import RtlSimulator

BASE = 1 << 20                  # not zero, so that a forgotten base is detected
WATCHDOG_CYCLES = 100_000       # far longer than any wait for memory
LARGEST_RUN = 1 << 40
LOW = 0xFFFF_FFFF


class Accelerator(Protocol):
    """A connected accelerator: the RTL in this process, or one on a board.

    Attributes
    ----------
    base
        Byte address on its memory bus at which the program's memory begins.
    """

    base: int

    def read_register(self, address: int) -> int:
        """Reads 32 bits."""

    def write_register(self, address: int, value: int) -> None:
        """Writes 32 bits."""

    def run(self, max_cycles: int, progress: Callable[[int], None] | None = None) -> object:
        """Waits for the interrupt; ``progress`` is called with a number of cycles about twenty times a second."""

    def close(self) -> None:
        """Gives it back."""


class Driver:
    """One run of ``program``, which is in the accelerator's memory.

    Raises ``DeviceError`` if the registers do not identify an accelerator of the program's configuration.

    Attributes
    ----------
    program
        The program to run.
    read
        Reads a 32-bit register.
    base
        Byte address on the memory bus at which the program's memory begins.
    """

    def __init__(self, accelerator: Accelerator, program: Program) -> None:
        self.program, self.base = program, accelerator.base
        self._accelerator = accelerator
        self.read = accelerator.read_register
        self._prepare(program.configuration)

    def _prepare(self, config: Config) -> None:
        if self.read(Register.IDENTITY) != IDENTITY_VALUE:
            raise DeviceError("the device does not answer as an Arrayloom accelerator")
        if self.read(Register.CONFIG) != config.digest_word:
            raise DeviceError(f"the device is not of configuration {config.name}")
        write = self._accelerator.write_register
        program, base = self.program, self.base
        end = base + program.memory_bytes
        values = {Register.PROGRAM: base + program.code_address, Register.BASE: base, Register.LIMIT: end,
                  Register.WRITE_BASE: base + program.write_base, Register.WRITE_LIMIT: end,
                  Register.CYCLE_LIMIT: program.cycle_limit}
        for register, value in values.items():
            write(register, value & LOW)
            write(register + 4, value >> 32)
        write(Register.WATCHDOG, WATCHDOG_CYCLES)
        write(Register.INTERRUPT_ENABLE, 1)

    def start(self) -> None:
        """Rings the doorbell."""
        self._accelerator.write_register(Register.CONTROL, 1 << Control.START)

    def run(self, observe: Callable[[], None] | None = None) -> StatusWord:
        """From the doorbell to the interrupt; ``observe`` is called about twenty times a second."""
        self.start()
        self._accelerator.run(LARGEST_RUN, observe and (lambda _: observe()))
        return StatusWord.decode(self.read(Register.STATUS))

    def read_64(self, address: int) -> int:
        """Reads two consecutive registers as one number, lower half first."""
        return self.read(address) | self.read(address + 4) << 32

    def retired(self) -> dict[Unit, int]:
        """Instructions that each unit has completed."""
        return {unit: self.read(Register.RETIRED + 4 * unit) for unit in self.program.configuration.units}

    def counters(self) -> dict[str, dict[str, int]]:
        """Cycles by block and cause."""
        return {block.name: {cause.name: self.read_64(counter_address(block, cause)) for cause in Cause}
                for block in blocks_of(self.program.configuration.units)}

    def close(self) -> None:
        """Releases the accelerator."""
        self._accelerator.close()


class RtlDriver(Driver):
    """One run on a separate simulator, whose memory is ``memory``; ``seed`` as for ``RtlSimulator``.

    Attributes
    ----------
    simulator
        The simulated accelerator.
    """

    def __init__(self, build: Build, program: Program, memory: Memory, timing: Timing, seed: int = 0) -> None:
        self.simulator = RtlSimulator(build, memory, BASE, timing, seed)
        super().__init__(self.simulator, program)
