"""The accelerator as software sees it: registers, doorbell, interrupt."""

from collections.abc import Callable

from arrayloom.host.runtime.errors import DeviceError
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Unit
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.isa.registers import IDENTITY_VALUE, Block, Cause, Control, Register, StatusWord, counter_address
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.simulator import RtlSimulator, Timing

BASE = 1 << 20                  # anywhere but zero, so that a forgotten base shows
WATCHDOG_CYCLES = 100_000       # far above any wait for memory
LARGEST_RUN = 1 << 40
LOW = 0xFFFF_FFFF


class Driver:
    """One run of ``program`` on a simulator of its own, whose memory is ``memory``.

    Raises ``DeviceError`` when the registers do not say that this is an accelerator of the program's configuration.

    Attributes:
        program: what runs.
        simulator: the simulated accelerator.
        read: reads a 32-bit register.
    """

    def __init__(self, build: Build, program: Program, memory: Memory, timing: Timing) -> None:
        self.program = program
        self.simulator = RtlSimulator(build, memory, BASE, timing)
        self.read = self.simulator.read_register
        self._prepare(program.configuration)

    def _prepare(self, config: Config) -> None:
        if self.read(Register.IDENTITY) != IDENTITY_VALUE:
            raise DeviceError("the device does not answer as an Arrayloom accelerator")
        if self.read(Register.CONFIG) != config.digest_word:
            raise DeviceError(f"the device is not of configuration {config.name}")
        write = self.simulator.write_register
        program = self.program
        end = BASE + program.memory_bytes
        values = {Register.PROGRAM: BASE + program.code_address, Register.BASE: BASE, Register.LIMIT: end,
                  Register.WRITE_BASE: BASE + program.write_base, Register.WRITE_LIMIT: end,
                  Register.CYCLE_LIMIT: program.cycle_limit}
        for register, value in values.items():
            write(register, value & LOW)
            write(register + 4, value >> 32)
        write(Register.WATCHDOG, WATCHDOG_CYCLES)
        write(Register.INTERRUPT_ENABLE, 1)

    def start(self) -> None:
        """Rings the doorbell."""
        self.simulator.write_register(Register.CONTROL, 1 << Control.START)

    def run(self, observe: Callable[[], None] | None = None) -> StatusWord:
        """From the doorbell to the interrupt; ``observe`` is called about twenty times a second."""
        self.start()
        self.simulator.run(LARGEST_RUN, observe and (lambda _: observe()))
        return StatusWord.decode(self.read(Register.STATUS))

    def read_64(self, address: int) -> int:
        """Reads two registers that follow each other, the lower half first."""
        return self.read(address) | self.read(address + 4) << 32

    def retired(self) -> dict[Unit, int]:
        """Instructions that each unit has completed."""
        return {unit: self.read(Register.RETIRED + 4 * unit) for unit in Unit}

    def counters(self) -> dict[str, dict[str, int]]:
        """Cycles by block and cause."""
        return {block.name: {cause.name: self.read_64(counter_address(block, cause)) for cause in Cause}
                for block in Block}

    def close(self) -> None:
        """Frees the simulator."""
        self.simulator.close()
