"""Coverage of the runs of a test session, added up over its simulators."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, Unit
from arrayloom.isa.instructions import BY_OPCODE, End
from arrayloom.isa.registers import Block, Cause, Control, Register, StatusWord, counter_address
from arrayloom.sim.rtl.build import Build
from arrayloom.sim.rtl.errors import SimulationError
from arrayloom.sim.rtl.simulator import BURST_KINDS, RtlSimulator
from benchmarks.coverage.functional import bursts, decode, ends, field_values, given, stages, taken

LONGEST_PROGRAM = 4096      # most instructions decoded of a program without an end
MOST = np.iinfo(np.uint32).max


class Recorder:
    """Coverage of runs on the accelerator of ``config``.

    Attributes
    ----------
    build
        The instrumented build, once it has been made.
    reached
        Reached goals, by group (functional.py).
    read_register
        Reads a register of a simulator without recording it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.build: Build | None = None
        self.reached: dict[str, set[str]] = defaultdict(set)
        self.read_register: Callable[[RtlSimulator, int], int] = RtlSimulator.read_register
        self._counts: NDArray[np.uint64] | None = None
        self._bursts = np.zeros((2, *BURST_KINDS), np.uint64)
        self._programs: dict[int, list[Instruction]] = {}
        self._registers: dict[tuple[int, int], int] = defaultdict(int)

    def counts_for(self, simulator: RtlSimulator) -> bool:
        return simulator.build.variant.coverage and getattr(simulator, "_handle", None) is not None

    def write(self, simulator: RtlSimulator, address: int, value: int) -> None:
        """Called before a register is written."""
        self._registers[id(simulator), address] = value
        if address == Register.CONTROL and value >> Control.START & 1:
            self._end(simulator)
            self._begin(simulator)

    def read(self, address: int, value: int) -> None:
        """Called after a register was read."""
        if address == Register.STATUS:
            self.reached["ends"].update(ends(StatusWord.decode(value)))

    def close(self, simulator: RtlSimulator) -> None:
        """Called before a simulator is closed."""
        self._end(simulator)
        counts = simulator.coverage()
        self._counts = counts.astype(np.uint64) if self._counts is None else self._counts + counts
        self._bursts += np.stack([simulator.burst_kinds(False), simulator.burst_kinds(True)])
        self._registers = defaultdict(int, {key: value for key, value in self._registers.items() if key[0] != id(simulator)})

    def write_counts(self, path: Path) -> None:
        """Writes all counts as if one simulator had made them. Raises ``SimulationError`` if nothing was counted."""
        if self.build is None or self._counts is None:
            raise SimulationError(f"no test has run on the accelerator {self.config.name}: nothing was counted")
        self.reached["bursts"].update(bursts(*self._bursts))
        with RtlSimulator(self.build, np.zeros(4096, np.uint8)) as simulator:
            simulator.coverage()[:] = np.minimum(self._counts, MOST)
            simulator.write_coverage(path)

    def _begin(self, simulator: RtlSimulator) -> None:
        address = self._registers[id(simulator), Register.PROGRAM]
        address |= self._registers[id(simulator), Register.PROGRAM_HIGH] << 32
        first = address - simulator.base
        program: list[Instruction] = []
        if not 0 <= first < simulator.memory.size:
            return
        for place in range(first, first + LONGEST_PROGRAM * INSTRUCTION_BYTES, INSTRUCTION_BYTES):
            word = int.from_bytes(simulator.memory[place:place + INSTRUCTION_BYTES].tobytes(), "little")
            if (cls := BY_OPCODE.get(word & 63)) is None:
                break
            self.reached["fields"].update(field_values(cls, word))
            if (one := decode(word)) is not None:
                self.reached["stages"].update(stages(one))
                self.reached["tokens"].update(given(one))
                program.append(one)
            if cls is End:
                break
        self._programs[id(simulator)] = program

    def _end(self, simulator: RtlSimulator) -> None:
        """Reads the counts of the last run, if there was one and the simulator still responds."""
        program = self._programs.pop(id(simulator), None)
        if program is None:
            return
        try:
            status = StatusWord.decode(self.read_register(simulator, Register.STATUS))
            cycles = {(block, cause): self.read_register(simulator, counter_address(block, cause))
                      for block in Block for cause in Cause}
        except SimulationError:
            return      # a violation of the bus protocol, which the test provokes
        self.reached["ends"].update(ends(status))
        self.reached["causes"].update(f"{block.name} {cause.name}" for (block, cause), count in cycles.items() if count)
        if status.done:
            tokens = {unit: cycles[Block(int(unit)), Cause.TOKEN] for unit in Unit}
            self.reached["tokens"].update(taken(program, tokens))
