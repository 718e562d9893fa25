"""A bench around the ARRAY unit: scratchpad, weight FIFO, and models of the POST and LOAD units."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from amaranth import Const, Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from numpy.typing import NDArray

from arrayloom.hdl.array import ArrayUnit
from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of
from arrayloom.hdl.scratchpad import Scratchpad
from arrayloom.hdl.weight_fifo import WeightFifo
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.instructions import WORD_ADDRESS, Convolve
from arrayloom.isa.registers import Cause

Ints = NDArray[np.int64]
DEADLINE = 20_000    # cycles


@dataclass
class Outcome:
    """The result of a bench run: sums per bank int64[pixels, size], and cycle numbers."""

    banks: list[Ints] = field(default_factory=list)
    retired: list[int] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    illegal: list[int] = field(default_factory=list)
    data_left: bool = True

    def cycles(self, cause: Cause) -> int:
        return self.causes.count(cause)

    @property
    def span(self) -> int:
        """Cycles from the first pixel to the last, inclusive."""
        work = [cycle for cycle, cause in enumerate(self.causes) if cause == Cause.COMPUTING]
        return work[-1] - work[0] + 1


def pixel_words(instruction: Convolve, memory: NDArray[np.int8], block: int, i: int, j: int) -> Ints:
    """int64[pixels, size]: the activations of the region at a tap."""
    rows = []
    for y in range(instruction.height):
        for x in range(instruction.width):
            iy = instruction.origin_y + y * instruction.stride_y + i * instruction.dilation_y
            ix = instruction.origin_x + x * instruction.stride_x + j * instruction.dilation_x
            if 0 <= iy < instruction.source_height and 0 <= ix < instruction.source_width:
                word = instruction.source + block * instruction.plane_pitch + iy * instruction.row_pitch + ix
                rows.append(memory[word].astype(np.int64))
            else:
                rows.append(np.full(memory.shape[1], instruction.padding, np.int64))
    return np.array(rows)


def steps(instruction: Convolve) -> int:
    return instruction.blocks * instruction.taps_y * instruction.taps_x * instruction.repeats


def expected_halves(program: list[Convolve], memory: NDArray[np.int8], tiles: NDArray[np.int8]) -> list[Ints]:
    """The accumulators' contents when each bank is full; ``tiles``: int8[n, size, size]."""
    banks, remaining = [], iter(tiles.astype(np.int64))
    total = np.zeros((0, memory.shape[1]), np.int64)
    for instruction in program:
        if instruction.first:
            total = np.zeros((instruction.height * instruction.width, memory.shape[1]), np.int64)
        for block in range(instruction.blocks):
            for i in range(instruction.taps_y):
                for j in range(instruction.taps_x):
                    words = pixel_words(instruction, memory, block, i, j)
                    for _ in range(instruction.repeats):
                        total[: len(words)] += words @ next(remaining)
        if instruction.last:
            banks.append(total)
    return banks


class ArrayBench:
    """Runs a program on the ARRAY unit; coroutines with adjustable timing simulate the other units."""

    def __init__(self, config: Config, program: list[Convolve], memory: NDArray[np.int8], tiles: NDArray[np.int8], *,
                 weight_gap: int = 0, drain_gap: int = 0, drain: bool = True):
        self.config, self.program, self.memory = config, program, memory
        self.rows = tiles.reshape(-1, config.size)
        self.weight_gap, self.drain_gap, self.drain = weight_gap, drain_gap, drain
        self.top = Module()
        self.top.submodules.array = self.array = ArrayUnit(config)
        self.top.submodules.memory = self.activations = Scratchpad(config)
        self.top.submodules.fifo = self.fifo = WeightFifo(config)
        wiring.connect(self.top, self.array.read, self.activations.array)
        wiring.connect(self.top, self.array.weights, self.fifo.read)
        self.outcome = Outcome()
        self.filled = False

    def run(self, expect_illegal: bool = False) -> Outcome:
        simulator = Simulator(self.top)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self._fill_memory)
        simulator.add_testbench(self._fill_weights, background=True)
        simulator.add_testbench(self._issue, background=True)
        simulator.add_testbench(self._post, background=True)
        simulator.add_testbench(self._watch_illegal if expect_illegal else self._watch)
        simulator.run()
        return self.outcome

    async def _fill_memory(self, ctx: Any) -> None:
        port = self.activations.load
        ctx.set(port.valid, 1)
        for address, word in enumerate(self.memory):
            ctx.set(port.address, address)
            ctx.set(port.bank, ctx.get(bank_of(Const(address, WORD_ADDRESS), self.config)))
            ctx.set(port.data, _packed(word))
            await ctx.tick()
        ctx.set(port.valid, 0)
        self.filled = True

    async def _fill_weights(self, ctx: Any) -> None:
        sink = self.fifo.sink
        for row in self.rows:
            while not ctx.get(sink.free):
                await ctx.tick()
            ctx.set(sink.valid, 1)
            ctx.set(sink.data, _packed(row))
            await ctx.tick()
            ctx.set(sink.valid, 0)
            for _ in range(self.weight_gap):
                await ctx.tick()

    async def _issue(self, ctx: Any) -> None:
        port = self.array.unit.instruction
        while not self.filled:      # meanwhile the weight FIFO also fills
            await ctx.tick()
        ctx.set(port.valid, 1)
        for instruction in self.program:
            ctx.set(port.payload, int.from_bytes(instruction.encode(), "little"))
            while not ctx.get(port.ready):
                await ctx.tick()
            await ctx.tick()
        ctx.set(port.valid, 0)

    async def _post(self, ctx: Any) -> None:
        port = self.array.accumulator
        sizes = [item.height * item.width for item in self.program if item.last]
        for pixels in sizes if self.drain else []:
            while not ctx.get(port.available):
                await ctx.tick()
            for _ in range(self.drain_gap):
                await ctx.tick()
            rows = []
            for cycle in range(pixels + MEMORY_LATENCY):
                ctx.set(port.enable, int(cycle < pixels))
                ctx.set(port.address, cycle % pixels)
                ctx.set(port.release, int(cycle == pixels - 1))
                if cycle >= MEMORY_LATENCY:
                    rows.append([ctx.get(port.data[column]) for column in range(self.config.size)])
                await ctx.tick()
            self.outcome.banks.append(np.array(rows))

    async def _watch(self, ctx: Any) -> None:
        """Records each cycle until every instruction is retired and drained."""
        banks = sum(item.last for item in self.program) if self.drain else 0
        for cycle in range(DEADLINE):
            self._record(ctx, cycle)
            if len(self.outcome.retired) == len(self.program) and len(self.outcome.banks) == banks:
                self.outcome.data_left = bool(ctx.get(self.array.data_left))
                return
            await ctx.tick()
        raise AssertionError(f"not done after {DEADLINE} cycles: {len(self.outcome.retired)} retired")

    async def _watch_illegal(self, ctx: Any) -> None:
        for cycle in range(len(self.memory) + 200):
            self._record(ctx, cycle)
            await ctx.tick()

    def _record(self, ctx: Any, cycle: int) -> None:
        self.outcome.causes.append(Cause(ctx.get(self.array.unit.cause)))
        if ctx.get(self.array.unit.retired):
            self.outcome.retired.append(cycle)
        if ctx.get(self.array.unit.illegal):
            self.outcome.illegal.append(cycle)


def _packed(word: NDArray[np.int8]) -> int:
    return int.from_bytes(word.astype(np.int8).tobytes(), "little")


def small_config(size: int, row_stage: int, column_stage: int, **more: Any) -> Config:
    """A configuration small enough for the Python simulator."""
    base = replace(PRESETS["tiny"], name="test", size=size, lanes=size, row_stage=row_stage, column_stage=column_stage,
                   accumulator_depth=64, activation_bytes=256 * size, weight_words=16 * size)
    return replace(base, **more)


@pytest.fixture
def config_of() -> Callable[..., Config]:
    return small_config


@pytest.fixture
def run_array() -> Callable[..., tuple[Outcome, list[Ints]]]:
    """Runs a program with random activations and weights; returns its outcome and numpy's sums.

    ``spare_tiles``: weights in addition to those that the program takes.
    """
    def run(config: Config, program: list[Convolve], seed: int = 1, spare_tiles: int = 0,
            **manners: Any) -> tuple[Outcome, list[Ints]]:
        generator = np.random.default_rng(seed)
        memory = generator.integers(-128, 128, (config.activation_words, config.size)).astype(np.int8)
        count = sum(map(steps, program)) + spare_tiles
        tiles = generator.integers(-128, 128, (count, config.size, config.size)).astype(np.int8)
        outcome = ArrayBench(config, program, memory, tiles, **manners).run()
        return outcome, expected_halves(program, memory, tiles) if manners.get("drain", True) else []
    return run


@pytest.fixture
def run_illegal() -> Callable[..., Outcome]:
    """Runs a program that must be refused; returns the outcome after some cycles."""
    def run(config: Config, program: list[Convolve]) -> Outcome:
        memory = np.zeros((1, config.size), np.int8)
        tiles = np.zeros((8, config.size, config.size), np.int8)
        return ArrayBench(config, program, memory, tiles).run(expect_illegal=True)
    return run
