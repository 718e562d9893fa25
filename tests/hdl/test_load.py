"""LOAD on the bus: every word arrives at its place, credits are respected, and each cycle transfers a beat."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from arrayloom.hdl.axi import Bus
from arrayloom.hdl.load import OUTSTANDING, Load
from arrayloom.isa.bus import BURST_WORDS
from arrayloom.isa.config import Config
from arrayloom.isa.fields import Instruction
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS, LoadActivations, LoadLookupTable, LoadParameters, LoadWeights
from arrayloom.isa.registers import Cause

BASE = 0x3000
MEMORY = 1 << 18


@dataclass
class Sink:
    """A FIFO of ``capacity`` words whose consumer takes a word with probability ``rate``, from cycle ``opens`` on."""

    port: Any
    capacity: int
    rate: float = 1.0
    opens: int = 0
    lag: bool = False
    words: list[int] = field(default_factory=list)

    async def serve(self, ctx: Any) -> None:
        rng, level, before = random.Random(self.capacity), 0, 0
        cycle = 0
        while True:
            ctx.set(self.port.free, self.capacity - (max(level, before) if self.lag else level))
            *_, valid, word = await ctx.tick().sample(self.port.valid, self.port.data)
            before = level
            if valid:
                self.words.append(word)
                level += 1
                assert level <= self.capacity, "a word for a full FIFO"
            if level and cycle >= self.opens and rng.random() < self.rate:
                level -= 1
            cycle += 1


@dataclass
class ChipPort:
    """The write port of the scratchpad, not ready with probability ``stall``."""

    port: Any
    stall: float = 0.0
    words: dict[int, int] = field(default_factory=dict)
    cycles: list[int] = field(default_factory=list)

    async def serve(self, ctx: Any) -> None:
        rng, cycle = random.Random(7), 0
        while True:
            ready = rng.random() >= self.stall
            ctx.set(self.port.ready, ready)
            *_, valid, address, word = await ctx.tick().sample(self.port.valid, self.port.address, self.port.data)
            if valid and ready:
                self.words[address] = word
                self.cycles.append(cycle)
            cycle += 1


class System:
    """LOAD, the bus, a memory of random bytes, three FIFOs and a port."""

    def __init__(self, bench: Any, config: Config, instructions: Sequence[Instruction], *, rate: float = 1.0,
                 gap: float = 0.0, opens: int = 0, port_stall: float = 0.0, lag: bool = False, low: int = 0,
                 high: int = MEMORY, base: int = BASE, **memory: Any) -> None:
        self.bench, self.config = bench, config
        self.load, self.bus = Load(config), Bus(config)
        self.design = Module()
        self.design.submodules += [self.load, self.bus]
        connect(self.design, self.load.bus, self.bus.load)
        self.design.d.comb += [self.load.base.eq(base), self.load.window.low.eq(low // config.size),
                               self.load.window.high.eq((high - BASE) // config.size)]
        self.memory = bench.AxiMemory(self.bus.axi, config, bytearray(random.Random(1).randbytes(MEMORY)), **memory)
        self.driver = bench.UnitDriver(self.load.unit, instructions, gap=gap)
        depths = {LoadWeights: (self.load.weights, config.weight_words),
                  LoadParameters: (self.load.parameters, config.parameter_entries * config.parameter_beats),
                  LoadLookupTable: (self.load.tables, config.table_pages * LOOKUP_TABLE_WORDS)}
        self.sinks = {cls: Sink(port, depth, rate, opens, lag) for cls, (port, depth) in depths.items()}
        self.port = ChipPort(self.load.write, port_stall)
        self.errors = 0
        self.outside: list[int] = []

    async def count_errors(self, ctx: Any) -> None:
        while True:
            *_, error, outside, address = await ctx.tick().sample(
                self.load.bus_error, self.load.outside, self.load.outside_address)
            self.errors += error
            self.outside += [address] * outside

    def run(self, done: Any = None) -> int:
        processes = [self.memory.serve_reads, self.driver.offer, self.driver.watch, self.port.serve, self.count_errors,
                     *(sink.serve for sink in self.sinks.values())]
        return self.bench.run(self.design, processes, done or (lambda: self.driver.done))

    def words(self, address: int, count: int) -> list[int]:
        size, start = self.config.size, BASE + address
        data = self.memory.data[start:start + count * size]
        return [int.from_bytes(data[i:i + size], "little") for i in range(0, len(data), size)]

    def check(self) -> None:
        expected: dict[type[Instruction], list[int]] = {cls: [] for cls in self.sinks}
        chip: dict[int, int] = {}
        for i in self.driver.instructions:
            match i:
                case LoadWeights():
                    expected[LoadWeights] += self.words(i.address, i.words)
                case LoadParameters():
                    expected[LoadParameters] += self.words(i.address, i.entries * self.config.parameter_beats)
                case LoadLookupTable():
                    expected[LoadLookupTable] += self.words(i.address, LOOKUP_TABLE_WORDS)
                case LoadActivations():
                    for row in range(i.rows):
                        run = self.words(i.address + row * i.memory_pitch * self.config.size, i.words)
                        chip |= {i.destination + row * i.chip_pitch + n: word for n, word in enumerate(run)}
        for cls, sink in self.sinks.items():
            assert sink.words == expected[cls], cls.__name__
        assert self.port.words == chip


def mixture(config: Config, seed: int, count: int) -> list[Instruction]:
    rng, size = random.Random(seed), config.size
    made: list[Instruction] = []
    destination = 0
    for _ in range(count):
        address = rng.randrange(MEMORY // 2) // size * size
        rows, words, gap = rng.randrange(1, 6), rng.randrange(1, 40), rng.randrange(0, 5)
        made.append(rng.choice([
            LoadWeights(address=address, words=size * rng.randrange(1, 20)),
            LoadParameters(address=address, entries=rng.randrange(1, 40)),
            LoadLookupTable(address=address),
            LoadActivations(address=address, destination=destination, words=words, rows=rows,
                            memory_pitch=rng.randrange(0, 100), chip_pitch=words + gap)]))
        destination += rows * (words + gap)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_every_word_reaches_its_place_under_back_pressure(bench: Any, seed: int) -> None:
    config = bench.config()
    system = System(bench, config, mixture(config, seed, 14), rate=0.6, gap=0.3, port_stall=0.4, lag=seed == 1,
                    stall=0.3, latency=20, seed=seed)
    system.run()
    system.check()
    assert len(system.driver.retired) == 14
    assert not system.driver.illegal


@pytest.mark.parametrize("name", ["16x16", "64x64"])
def test_wide_words_reach_their_places(bench: Any, name: str) -> None:
    config = bench.config(name)
    system = System(bench, config, mixture(config, 5, 5), stall=0.1)
    system.run()
    system.check()


def sustained(cycles: list[int]) -> float:
    return (len(cycles) - 1) / (cycles[-1] - cycles[0])


@pytest.mark.parametrize("name", ["tiny", "64x64"])
def test_tile_after_tile_comes_a_beat_a_cycle_at_latency_64(bench: Any, name: str) -> None:
    config = bench.config(name)
    tile = max(config.size, 16)
    tiles = [LoadWeights(address=n * tile * config.size, words=tile) for n in range(1024 // tile)]
    system = System(bench, config, tiles, latency=64)
    system.run()
    system.check()
    assert sustained(system.memory.read_cycles) > 0.98
    assert system.memory.most_outstanding <= OUTSTANDING


def test_no_more_bursts_are_outstanding_than_records(bench: Any) -> None:
    config = bench.config()
    rows = [LoadActivations(address=0, destination=0, words=2, rows=60, memory_pitch=9, chip_pitch=2)]
    system = System(bench, config, rows, latency=300, takes=64)
    system.run()
    system.check()
    assert system.memory.most_outstanding == OUTSTANDING


def test_a_long_run_is_cut_at_pages_only(bench: Any) -> None:
    config = bench.config()
    rows = [LoadActivations(address=0x3F8, destination=0, words=1100, rows=1, memory_pitch=0, chip_pitch=0)]
    system = System(bench, config, rows)
    system.run()
    page = [BURST_WORDS] * 48 + [2]
    assert [burst.beats for burst in system.memory.reads] == page + [BURST_WORDS] * 20 + [10]


def test_rows_of_seven_words_come_a_beat_a_cycle_at_latency_64(bench: Any) -> None:
    config = bench.config()
    rows = [LoadActivations(address=n * 0x1000, destination=n * 200, words=7, rows=20, memory_pitch=7 * 4, chip_pitch=7)
            for n in range(6)]
    system = System(bench, config, rows, latency=64)
    system.run()
    system.check()
    assert sustained(system.port.cycles) > 0.9


def test_a_refusing_port_costs_only_its_own_cycles(bench: Any) -> None:
    config = bench.config()
    rows = [LoadActivations(address=0, destination=0, words=600, rows=1, memory_pitch=0, chip_pitch=0)]
    system = System(bench, config, rows, latency=10, port_stall=0.25)
    system.run()
    system.check()
    assert sustained(system.port.cycles) > 0.7
    assert 100 < system.driver.causes.count(Cause.ACTIVATIONS) < 300


def test_an_instruction_retires_when_its_last_word_is_written(bench: Any) -> None:
    config = bench.config()
    rows = [LoadActivations(address=0, destination=100 * n, words=30, rows=1, memory_pitch=0, chip_pitch=0)
            for n in range(4)]
    system = System(bench, config, rows, port_stall=0.3)
    system.run()
    assert system.driver.retired == [system.port.cycles[30 * n + 29] + 1 for n in range(4)]


def test_causes_tell_waiting_for_room_from_waiting_for_memory(bench: Any) -> None:
    config = bench.config()
    system = System(bench, config, [LoadWeights(address=0, words=2 * config.weight_words)], latency=50, opens=800)
    system.run()
    causes = system.driver.causes
    assert causes.count(Cause.COMPUTING) == 2 * config.weight_words
    assert causes.count(Cause.SPACE) > 300
    assert 40 < causes.count(Cause.MEMORY) < 160
    assert causes[-1] == Cause.IDLE


def test_the_smallest_weight_fifo_does_not_block(bench: Any) -> None:
    config = replace(bench.config(), weight_words=8)
    system = System(bench, config, [LoadWeights(address=4, words=64)], rate=0.5)
    system.run()
    system.check()


ILLEGAL = {
    "no words": LoadWeights(address=0, words=0),
    "part of a tile": LoadWeights(address=0, words=6),
    "no entries": LoadParameters(address=0, entries=0),
    "no rows": LoadActivations(address=0, destination=0, words=4, rows=0, memory_pitch=0, chip_pitch=0),
    "half a word": LoadLookupTable(address=2),
    "beyond the chip": LoadActivations(address=0, destination=16380, words=5, rows=1, memory_pitch=0, chip_pitch=0),
    "beyond the chip in a later row": LoadActivations(address=0, destination=16300, words=5, rows=3, memory_pitch=0,
                                                      chip_pitch=40),
    "far beyond the chip": LoadActivations(address=0, destination=0, words=1, rows=2, memory_pitch=0,
                                           chip_pitch=(1 << 20) - 1),
}


LEGAL_AT_FIRST = ("beyond the chip in a later row", "far beyond the chip")


@pytest.mark.parametrize("case", ILLEGAL)
def test_fields_out_of_range_are_illegal(bench: Any, case: str) -> None:
    system = System(bench, bench.config(), [ILLEGAL[case]])
    system.run(lambda: bool(system.driver.illegal))
    assert bool(system.port.words) == (case in LEGAL_AT_FIRST)
    assert all(address < system.config.activation_words for address in system.port.words)


def test_a_base_between_words_is_illegal(bench: Any) -> None:
    system = System(bench, bench.config(), [LoadWeights(address=0, words=4)], base=BASE + 2)
    system.run(lambda: bool(system.driver.illegal))
    assert not system.port.words


def test_the_last_word_of_the_chip_is_legal(bench: Any) -> None:
    rows = LoadActivations(address=0, destination=16379, words=5, rows=1, memory_pitch=0, chip_pitch=0)
    system = System(bench, bench.config(), [rows])
    system.run()
    system.check()
    assert not system.driver.illegal


OUTSIDE: dict[str, tuple[Instruction, int]] = {
    "begins at the limit": (LoadWeights(address=0x400, words=4), 0x400),
    "ends a word beyond": (LoadParameters(address=0x3F8, entries=1), 0x3F8),
    "a long run": (LoadWeights(address=0x200, words=1 << 12), 0x200),
    "the third row": (LoadActivations(address=0x100, words=4, rows=4, memory_pitch=0x60, chip_pitch=4), 0x100 + 2 * 0x180),
    "the farthest address": (LoadWeights(address=(1 << 36) - 16, words=4), (1 << 36) - 16),
    "the longest pitch": (LoadActivations(words=1, rows=2, memory_pitch=(1 << 28) - 1, chip_pitch=1), 4 * ((1 << 28) - 1)),
    "the longest run": (LoadWeights(address=0, words=(1 << 24) - 4), 0),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_nothing_outside_the_window_is_read(bench: Any, case: str) -> None:
    instruction, address = OUTSIDE[case]
    system = System(bench, bench.config(), [instruction, LoadWeights(address=0, words=4)], high=BASE + 0x400)
    system.run(lambda: bool(system.outside))
    assert system.outside[0] == BASE + address
    assert all(burst.address >= BASE and burst.address + 4 * burst.beats <= BASE + 0x400 for burst in system.memory.reads)
    assert not system.driver.illegal and not system.driver.retired


@pytest.mark.parametrize("instruction", [
    LoadWeights(address=0x3F0, words=4), LoadParameters(address=0x3F0, entries=1),
    LoadActivations(address=0x100, words=4, rows=3, memory_pitch=0xB0 // 4, chip_pitch=4)])
def test_the_last_word_of_the_window_is_read(bench: Any, instruction: Instruction) -> None:
    end = {LoadActivations: 0x100 + 2 * 0xB0 + 16}.get(type(instruction), 0x400)
    if isinstance(instruction, LoadParameters):
        end = 0x3F0 + 4 * bench.config().parameter_beats
    system = System(bench, bench.config(), [instruction], high=BASE + end)
    system.run()
    system.check()
    assert not system.outside


def test_bus_errors_are_reported(bench: Any) -> None:
    config = bench.config()
    bad = range(BASE + 30 * config.size, BASE + 32 * config.size)
    system = System(bench, config, [LoadWeights(address=0, words=32)], bad=bad)
    system.run()
    assert system.errors == 2
