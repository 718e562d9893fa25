"""A POST unit in the Python simulator: programs run on it and on the emulator, and both must write the same words."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.hdl.post import Post
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction, Units
from arrayloom.isa.registers import Cause
from arrayloom.sim.emulator import Machine
from arrayloom.sim.emulator.post import Poster

Words = NDArray[np.int8]

PATIENCE = 4000     # cycles without a write after which the unit counts as hanging


@dataclass
class Job:
    """One instruction and its data: int32 sums, uint32[entries, 2, lanes] parameters, an int8[256, size] lookup table."""

    instruction: Instruction
    sums: NDArray[np.int32] | None = None
    parameters: NDArray[np.uint32] | None = None
    table: NDArray[np.int8] | None = None


@dataclass
class Run:
    """The record of a run: the words written, the cycle in which each instruction retired, and a count of each cause."""

    writes: list[tuple[int, int]] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    causes: dict[Cause, int] = field(default_factory=lambda: dict.fromkeys(Cause, 0))
    illegal: int = 0
    data_left: bool = False


class Bench:
    """Runs ``jobs`` on a unit of ``config``, with ``activations`` as the initial scratchpad.

    ``obstruct``: the share of cycles in which each port refuses and each supply pauses.
    """

    def __init__(self, config: Config, jobs: list[Job], activations: Words, obstruct: float = 0.0,
                 seed: int = 0) -> None:
        self.config, self.jobs, self.obstruct = config, jobs, obstruct
        self.memory = activations.copy()
        self.rng = np.random.default_rng(seed)
        self.dut = Post(config)
        self.run_ = Run()
        self.offered, self.cycle, self.last_event = 0, 0, 0
        self.full = False
        self.banks: deque[NDArray[np.int32]] = deque(job.sums for job in jobs if job.sums is not None)
        self.supplies = {
            "parameters": deque(word for job in jobs for word in _words(job.parameters, config)),
            "tables": deque(word for job in jobs for word in _words(job.table, config)),
        }
        self.reads: deque[bytes | None] = deque([None] * MEMORY_LATENCY)
        self.pixels: deque[NDArray[np.int32] | None] = deque([None] * MEMORY_LATENCY)

    def run(self) -> Run:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._testbench)
        simulator.run()
        return self.run_

    def _chance(self) -> bool:
        return self.obstruct == 0 or self.rng.random() >= self.obstruct

    async def _testbench(self, ctx) -> None:
        while len(self.run_.retired) + self.run_.illegal < len(self.jobs):
            self._drive(ctx)
            self._observe(ctx)
            await ctx.tick()
            self.cycle += 1
            assert self.cycle - self.last_event < PATIENCE, f"hangs after {len(self.run_.retired)} instructions"
        for _ in range(8):
            await ctx.tick()
        self.run_.data_left = bool(ctx.get(self.dut.data_left))

    def _drive(self, ctx) -> None:
        dut = self.dut
        ctx.set(dut.read.ready, self._chance())
        ctx.set(dut.write.ready, self._chance())
        self.full = self.full or (bool(self.banks) and self._chance())
        ctx.set(dut.accumulator.available, self.full)
        if self.banks:
            ctx.set(dut.accumulator.last, len(self.banks[0]) - 1)
        if (word := self.reads.popleft()) is not None:
            ctx.set(dut.read.data, int.from_bytes(word, "little"))
        if (sums := self.pixels.popleft()) is not None:
            ctx.set(dut.accumulator.data, [int(value) for value in sums])
        for name, words in self.supplies.items():
            sink = getattr(dut, name)
            give = bool(words) and ctx.get(sink.free) > 0 and self._chance()
            ctx.set(sink.valid, give)
            if give:
                ctx.set(sink.data, words.popleft())
        if self.offered < len(self.jobs):
            instruction = self.jobs[self.offered].instruction
            fence = instruction.wait & Units.POST and len(self.run_.retired) < self.offered
            ctx.set(dut.unit.instruction.payload, int.from_bytes(instruction.encode(), "little"))
            ctx.set(dut.unit.instruction.valid, bool(self._chance() and not fence))
        else:
            ctx.set(dut.unit.instruction.valid, 0)

    def _observe(self, ctx) -> None:
        dut, run = self.dut, self.run_
        run.causes[Cause(ctx.get(dut.unit.cause))] += 1
        if ctx.get(dut.unit.instruction.valid) and ctx.get(dut.unit.instruction.ready):
            self.offered += 1
        self.reads.append(None)
        if ctx.get(dut.read.valid) and ctx.get(dut.read.ready):
            self.reads[-1] = self.memory[ctx.get(dut.read.address) % len(self.memory)].tobytes()    # as the scratchpad wraps
        self.pixels.append(None)
        if ctx.get(dut.accumulator.enable):
            self.pixels[-1] = self.banks[0][ctx.get(dut.accumulator.address)]
        if ctx.get(dut.accumulator.release):
            self.banks.popleft()
            self.full = False
        assert ctx.get(dut.trace.valid) == (ctx.get(dut.write.valid) & ctx.get(dut.write.ready))
        if ctx.get(dut.trace.valid):
            self.last_event = self.cycle
            address, word = ctx.get(dut.trace.address), ctx.get(dut.trace.data)
            self.memory[address] = np.frombuffer(word.to_bytes(self.config.size, "little"), np.int8)
            run.writes.append((address, word))
        if ctx.get(dut.unit.retired):
            run.retired.append(self.cycle)
        run.illegal += ctx.get(dut.unit.illegal)


def _words(data: NDArray | None, config: Config) -> Iterable[int]:
    """Memory words of parameters or a lookup table."""
    if data is None:
        return []
    raw = np.ascontiguousarray(data).tobytes()
    return [int.from_bytes(raw[i:i + config.size], "little") for i in range(0, len(raw), config.size)]


def expected(config: Config, jobs: list[Job], activations: NDArray[np.int8]) -> list[tuple[int, int]]:
    """The emulator's writes."""
    machine = Machine(config, np.zeros(0, np.uint8))
    machine.activations[:] = activations
    machine.full.extend(job.sums for job in jobs if job.sums is not None)
    machine.parameters.extend(entry for job in jobs if job.parameters is not None for entry in job.parameters)
    machine.tables.extend(job.table for job in jobs if job.table is not None)
    poster, writes = Poster(machine), []
    for job in jobs:
        getattr(poster, job.instruction.mnemonic())(job.instruction)
        words = machine.activations[poster.addresses]
        writes += [(int(address), int.from_bytes(word.tobytes(), "little"))
                   for address, word in zip(poster.addresses, words, strict=True)]
    return writes


Check = Callable[..., Run]


@pytest.fixture
def job() -> type[Job]:
    return Job


@pytest.fixture
def bench() -> type[Bench]:
    return Bench


@pytest.fixture
def check() -> Check:
    """Runs jobs on the unit and the emulator, compares every word written in order, and returns the run."""
    def run(config: Config, jobs: list[Job], activations: Words, obstruct: float = 0.0, seed: int = 0) -> Run:
        result = Bench(config, jobs, activations, obstruct, seed).run()
        wanted = expected(config, jobs, activations)
        assert [f"{a:x}: {w:0{2 * config.size}x}" for a, w in result.writes] == [
            f"{a:x}: {w:0{2 * config.size}x}" for a, w in wanted]
        assert len(result.retired) == len(jobs)
        return result
    return run
