"""The ATTENTION unit compared with the emulator: random fields on a random scratchpad, every sum and every word."""

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from numpy.typing import NDArray

from arrayloom.compiler.cost.busy import busy_cycles
from arrayloom.hdl.attention import AttentionUnit
from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.isa.attention import softmax_table
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import FIELD_BYTES, Instruction
from arrayloom.isa.instructions import FeedWeights, Moments, Normalize, Softmax, Turn
from arrayloom.isa.registers import Cause
from arrayloom.sim.emulator.attention import Attention
from arrayloom.sim.emulator.machine import EmulatorError, Machine

TINY = PRESETS["tiny-vit"]
ONE_LANE = replace(TINY, name="one-lane", attention_lanes=1, activation_bytes=1024 * 4)
ALL_LANES = replace(TINY, name="all-lanes", attention_lanes=4, activation_bytes=1024 * 4)
WIDE = replace(PRESETS["16x16-vit"], name="wide", accumulator_depth=16, activation_bytes=1 << 14, attention_lanes=8)
EDGE = replace(PRESETS["edge-vit"], name="shallow", accumulator_depth=16, activation_bytes=1 << 13)    # four-stage additions
PATIENCE = 200_000


class Bench:
    """The unit with a scratchpad that sometimes refuses; feeds and sums are kept."""

    def __init__(self, config: Config, words: NDArray[np.int8], seed: int, ready: float = 0.8) -> None:
        self.config, self.words, self.ready = config, words.copy(), ready
        self.rng = np.random.default_rng(seed)
        self.refused = False
        self.works: list[int] = []      # cycles of each instruction
        self.fed: list[list[int]] = []
        self.banks: list[NDArray[np.int64]] = []

    def run(self, instructions: list[Instruction]) -> None:
        unit = AttentionUnit(self.config)
        simulator = Simulator(unit)
        simulator.add_clock(1e-6)
        self.left = len(instructions)
        self.unit, self.instructions = unit, instructions
        for process in (self._remember, self._drain, self._count):
            simulator.add_testbench(process, background=True)
        simulator.add_testbench(self._issue)
        simulator.run()

    async def _issue(self, context: Any) -> None:
        unit = self.unit
        for instruction in self.instructions:
            context.set(unit.unit.instruction.payload, int.from_bytes(instruction.encode()[:FIELD_BYTES], "little"))
            context.set(unit.unit.instruction.valid, 1)
            await context.tick().until(unit.unit.instruction.ready)
            context.set(unit.unit.instruction.valid, 0)
        for _ in range(PATIENCE):
            if self.refused or (not self.left and not context.get(unit.used)):
                return
            await context.tick()
        raise AssertionError("the unit does not come to an end")

    async def _count(self, context: Any) -> None:
        unit, worked = self.unit, False
        async for _, _, retired, illegal, cause, fed, word in context.tick().sample(
                unit.unit.retired, unit.unit.illegal, unit.unit.cause, unit.feed.valid, unit.feed.data):
            if cause == Cause.COMPUTING.value:
                self.works[-1:] = [self.works[-1] + 1] if worked else [*self.works[-1:], 1]
            worked = cause == Cause.COMPUTING.value
            self.refused |= bool(illegal)
            self.left -= retired
            if fed:
                self.fed.append(_bytes(word, self.config.operand_bits, self.config.size))

    async def _remember(self, context: Any) -> None:
        """The scratchpad's ports and the FIFO's room, which are there now and then."""
        unit = self.unit
        due = deque[int | None]([None] * (MEMORY_LATENCY - 1))
        while True:
            for ready in (unit.read.ready, unit.write.ready, unit.feed.free):
                context.set(ready, int(self.rng.random() < self.ready))
            _, _, asks, address, writes, target, word = await context.tick().sample(
                unit.read.valid & unit.read.ready, unit.read.address, unit.write.valid & unit.write.ready,
                unit.write.address, unit.write.data)
            due.append(address if asks else None)
            arrived = due.popleft()
            if arrived is not None:
                context.set(unit.read.data, int.from_bytes(self.words[arrived].tobytes(), "little"))
            if writes:
                self.words[target] = _bytes(word, 8, self.config.size)

    async def _drain(self, context: Any) -> None:
        """Reads banks as they become full."""
        unit = self.unit
        while True:
            while not context.get(unit.sums.available):
                await context.tick()
            sums = []
            for pixel in range(context.get(unit.sums.last) + 1):
                context.set(unit.sums.enable, 1)
                context.set(unit.sums.address, pixel)
                await context.tick()
                context.set(unit.sums.enable, 0)
                await context.tick().repeat(MEMORY_LATENCY - 1)
                sums.append([context.get(unit.sums.data[column]) for column in range(self.config.size)])
            context.set(unit.sums.release, 1)
            await context.tick()
            context.set(unit.sums.release, 0)
            self.banks.append(np.array(sums, np.int64))
            await context.tick()


def _bytes(word: int, bits: int, count: int) -> list[int]:
    values = [word >> bits * place & ((1 << bits) - 1) for place in range(count)]
    return [value - (1 << bits) if value >> bits - 1 else value for value in values]


def _scratchpad(config: Config, rng: np.random.Generator, values: NDArray[np.float32]) -> NDArray[np.int8]:
    words = rng.integers(-128, 128, (config.activation_words, config.size)).astype(np.int8)
    words[0] = rng.integers(-1, 2, config.size)     # signs
    table = np.frombuffer(values.tobytes(), np.int8).reshape(-1, config.size)
    words[16:16 + len(table)] = table
    return words


def _program(config: Config, rng: np.random.Generator) -> list[Instruction]:
    """Each instruction once or twice; what they write lies in the upper half, what they read below."""
    size, low, half = config.size, 16 + 1024 // config.size, config.activation_words // 2

    def source() -> int:
        return int(rng.integers(low, half - 64))

    def squares() -> dict[str, int]:
        return {"source": source(), "pitch": int(rng.integers(0, 2 * size)), "tiles": int(rng.integers(1, 3)),
                "rows": int(rng.integers(1, size + 1))}

    width = int(rng.integers(1, min(config.accumulator_depth, 9)))
    blocks = int(rng.integers(1, 4))
    return [
        FeedWeights(**squares(), turned=0, zero=int(rng.integers(-128, 128))),
        FeedWeights(**squares(), turned=1, zero=int(rng.integers(-128, 128))),
        Turn(**squares(), destination=half + 8, destination_pitch=2 * size),
        Softmax(source=source(), width=int(rng.integers(1, 9)), table=16, factor=int(rng.choice([1, 255, 256, 4000]))),
        Moments(source=low, plane_pitch=9, blocks=blocks, channels=(blocks - 1) * size + int(rng.integers(1, size + 1)),
                width=width, epsilon=int(2 ** rng.uniform(0, 30))),
        Normalize(source=low + 9 * int(rng.integers(blocks)), width=width, signs=0),
        Normalize(source=low, width=width, signs=0),
    ]


def _emulated(config: Config, words: NDArray[np.int8],
              program: list[Instruction]) -> tuple[Machine, list[NDArray[np.int32]]]:
    """The machine after the program, and the banks that it fills."""
    machine = Machine(config, np.zeros(0, np.uint8))
    machine.activations = words.copy()
    attention = Attention(machine)
    actions = {FeedWeights: attention.feed, Turn: attention.turn, Softmax: attention.softmax, Moments: attention.moments,
               Normalize: attention.normalize}
    banks = []
    for instruction in program:
        actions[type(instruction)](instruction)
        banks += [machine.attention_full.popleft()] if machine.attention_full else []
    return machine, banks


EXPONENTIALS = softmax_table(np.float32(0.1), 17)
POWERS = np.ldexp(np.float32(1), np.arange(-255, 1)).astype(np.float32)     # of two, down to denormal ones and to zeros


@pytest.mark.parametrize("table", [EXPONENTIALS, POWERS], ids=["exponentials", "powers"])
@pytest.mark.parametrize(("config", "seed"), [(TINY, 1), (TINY, 2), (ONE_LANE, 3), (WIDE, 4), (EDGE, 5), (ALL_LANES, 6)])
def test_sums_and_words_are_those_of_the_emulator(config: Config, seed: int, table: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(seed)
    words = _scratchpad(config, rng, table)
    program = _program(config, rng)
    bench = Bench(config, words, seed)
    bench.run(program)
    assert not bench.refused
    machine, expected = _emulated(config, words, program)
    assert np.array_equal(np.array(bench.fed), np.concatenate(list(machine.weights)))
    assert np.array_equal(bench.words, machine.activations)
    for got, wanted in zip(bench.banks, expected, strict=True):
        assert np.array_equal(got, wanted)


def _table(**changed: float) -> NDArray[np.float32]:
    """Of ones, but for the entries of the numbers after a letter."""
    values = np.ones(256, np.float32)
    for place, value in changed.items():
        values[int(place[1:])] = value
    return values


@pytest.mark.parametrize("config", [TINY, ALL_LANES, WIDE, EDGE], ids=lambda config: config.name)
def test_the_cost_model_knows_the_cycles(config: Config) -> None:
    """Of each instruction, with a scratchpad and a FIFO that are always ready."""
    rng = np.random.default_rng(8)
    words, size = _scratchpad(config, rng, EXPONENTIALS), config.size
    squares = {"source": 300, "pitch": 9, "tiles": 3}
    moments = Moments(source=300, plane_pitch=9, blocks=2, channels=size + 1, width=5, epsilon=9)
    softmax = Softmax(source=300, width=1, table=16, factor=255)
    program: list[Instruction] = [
        FeedWeights(**squares, rows=1), FeedWeights(**squares, rows=size, turned=1),
        Turn(**squares, rows=2, destination=600, destination_pitch=size), softmax, softmax.changed(width=9),
        moments.changed(width=1), moments.changed(width=3, blocks=40, channels=40 * size), moments,
        Normalize(source=300, width=5, signs=0)]
    bench = Bench(config, words, 8, ready=1)
    bench.run(program)
    assert bench.works == [busy_cycles(one, config) for one in program]


LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(("table", "legal"), [
    (_table(), True), (_table(e7=-0.0), True), (_table(e7=-1.0), False), (_table(e255=0.0), False),
    (_table(e255=-0.0), False), (_table(e0=np.inf), False), (_table(e9=np.nan), False),
    (_table(e255=2.0**-149), True), (_table(e255=LARGEST), False),
    (_table(e255=LARGEST / 8), True)])
@pytest.mark.parametrize("config", [TINY, EDGE], ids=lambda config: config.name)
def test_tables_are_refused_alike(config: Config, table: NDArray[np.float32], legal: bool) -> None:
    """What is no contribution, and sums of more than float32 holds: eight elements that are all the largest."""
    words = _scratchpad(config, np.random.default_rng(6), table)
    source = 24 + 1024 // config.size
    words[source:source + 8] = 3
    program: list[Instruction] = [Softmax(source=source, width=8, table=16, factor=255)]
    bench = Bench(config, words, 6)
    bench.run(program)
    assert bench.refused is not legal
    if legal:
        assert np.array_equal(bench.banks[0], _emulated(config, words, program)[1][0])
    else:
        with pytest.raises(EmulatorError, match=r"table of a softmax|more than float32 holds"):
            _emulated(config, words, program)


def test_tiles_beyond_the_scratchpad_are_refused_alike() -> None:
    """Pitches that lead from its beginning to beyond all addresses."""
    words = _scratchpad(TINY, np.random.default_rng(7), EXPONENTIALS)
    program: list[Instruction] = [FeedWeights(source=100, pitch=(1 << 20) - 50, tiles=2, rows=4)]
    bench = Bench(TINY, words, 7)
    bench.run(program)
    assert bench.refused
    with pytest.raises(EmulatorError, match="lies outside the scratchpad"):
        _emulated(TINY, words, program)
