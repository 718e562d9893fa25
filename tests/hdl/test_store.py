"""STORE on the bus: every word reaches memory, completion waits for memory's response, and each cycle transfers a beat."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from arrayloom.hdl.axi import Bus
from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.hdl.store import Store
from arrayloom.isa.bus import BURST_WORDS
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import Store as StoreInstruction
from arrayloom.isa.registers import Cause

BASE = 0x1000
MEMORY = 1 << 17


class System:
    """STORE, the bus, a memory of zeros, and a scratchpad that refuses with probability ``port_stall``."""

    def __init__(self, bench: Any, config: Config, instructions: list[StoreInstruction], *, gap: float = 0.0,
                 port_stall: float = 0.0, low: int = 0, high: int = MEMORY, **memory: Any) -> None:
        self.bench, self.config, self.port_stall = bench, config, port_stall
        self.store, self.bus = Store(config), Bus(config)
        self.design = Module()
        self.design.submodules += [self.store, self.bus]
        connect(self.design, self.store.bus, self.bus.store)
        self.halted = False
        self.design.d.comb += [self.store.base.eq(BASE), self.store.window.low.eq(low // config.size),
                               self.store.window.high.eq((high - BASE) // config.size)]
        self.memory = bench.AxiMemory(self.bus.axi, config, bytearray(MEMORY), **memory)
        self.driver = bench.UnitDriver(self.store.unit, instructions, gap=gap)
        self.errors = 0
        self.outside: list[int] = []
        self.quiet: list[bool] = []

    def word(self, address: int) -> int:
        return random.Random(address).getrandbits(self.config.word_bits)

    async def read_port(self, ctx: Any) -> None:
        rng, port = random.Random(9), self.store.read
        # Random words when nothing was requested.
        line = [0] * MEMORY_LATENCY
        while True:
            ready = rng.random() >= self.port_stall
            ctx.set(port.ready, ready)
            *_, valid, address = await ctx.tick().sample(port.valid, port.address)
            line = [self.word(address) if valid and ready else rng.getrandbits(self.config.word_bits), *line[:-1]]
            ctx.set(port.data, line[-1])

    async def watch(self, ctx: Any) -> None:
        while True:
            ctx.set(self.bus.status.halt, self.halted)
            *_, error, quiet, outside, address = await ctx.tick().sample(
                self.store.bus_error, self.bus.status.quiet, self.store.outside, self.store.outside_address)
            self.errors += error
            self.outside += [address] * outside
            self.quiet.append(bool(quiet))

    def run(self, done: Any = None) -> int:
        processes = [self.memory.serve_writes, self.driver.offer, self.driver.watch, self.read_port, self.watch]
        return self.bench.run(self.design, processes, done or (lambda: self.driver.done))

    def check(self) -> None:
        size, expected = self.config.size, bytearray(MEMORY)
        for i in self.driver.instructions:
            for row in range(i.rows):
                for n in range(i.words):
                    start = BASE + i.address + (row * i.memory_pitch + n) * size
                    expected[start:start + size] = self.word(i.source + row * i.chip_pitch + n).to_bytes(size, "little")
        assert self.memory.data == expected


def mixture(config: Config, seed: int, count: int) -> list[StoreInstruction]:
    rng, made, address = random.Random(seed), [], 0
    for _ in range(count):
        words, rows = rng.randrange(1, 60), rng.randrange(1, 5)
        pitch = words + rng.randrange(0, 9)
        made.append(StoreInstruction(address=address * config.size, source=rng.randrange(0, 4000), words=words,
                                     rows=rows, memory_pitch=pitch, chip_pitch=rng.randrange(0, 300)))
        address += rows * pitch + rng.randrange(0, 9)
    return made


@pytest.mark.parametrize("seed", range(3))
def test_every_word_reaches_memory_under_back_pressure(bench: Any, seed: int) -> None:
    config = bench.config()
    system = System(bench, config, mixture(config, seed, 14), gap=0.3, port_stall=0.3, stall=0.3, latency=20, seed=seed)
    system.run()
    system.check()
    assert len(system.driver.retired) == 14
    assert not system.driver.illegal


@pytest.mark.parametrize("name", ["16x16", "64x64"])
def test_wide_words_reach_memory(bench: Any, name: str) -> None:
    config = bench.config(name)
    system = System(bench, config, mixture(config, 4, 4), stall=0.1)
    system.run()
    system.check()


def test_words_go_a_beat_a_cycle_at_latency_64(bench: Any) -> None:
    config = bench.config()
    transfers = [StoreInstruction(address=n * 200 * 4, source=n, words=100, rows=2, memory_pitch=100, chip_pitch=100)
                 for n in range(5)]
    system = System(bench, config, transfers, latency=64)
    system.run()
    system.check()
    cycles = system.memory.write_cycles
    assert (len(cycles) - 1) / (cycles[-1] - cycles[0]) > 0.95


def test_words_go_on_however_slow_the_answers_are(bench: Any) -> None:
    transfers = [StoreInstruction(address=n * 800, source=n, words=200, rows=1, memory_pitch=0, chip_pitch=0)
                 for n in range(4)]
    system = System(bench, bench.config(), transfers, latency=900, takes=64)
    system.run()
    system.check()
    assert len(system.driver.retired) == 4


def test_short_bursts_wait_for_a_memory_that_takes_one_at_a_time(bench: Any) -> None:
    transfer = StoreInstruction(address=0, source=0, words=1, rows=40, memory_pitch=3, chip_pitch=2)
    system = System(bench, bench.config(), [transfer], latency=40, takes=1)
    system.run()
    system.check()


def test_an_instruction_retires_after_its_last_answer(bench: Any) -> None:
    config = bench.config()
    transfers = [StoreInstruction(address=n * 64, source=0, words=10, rows=1, memory_pitch=0, chip_pitch=0)
                 for n in range(3)]
    system = System(bench, config, transfers, latency=30)
    system.run()
    last_words = system.memory.write_cycles[9::10]
    assert [retired - last for retired, last in zip(system.driver.retired, last_words, strict=True)] == [31, 31, 31]


def test_every_cycle_has_its_cause(bench: Any) -> None:
    transfer = StoreInstruction(address=0, source=0, words=40, rows=1, memory_pitch=0, chip_pitch=0)
    system = System(bench, bench.config(), [transfer], latency=50)
    system.run()
    causes = system.driver.causes
    assert 40 <= causes.count(Cause.COMPUTING) <= 80
    assert 45 <= causes.count(Cause.MEMORY) <= 60
    assert 1 <= causes.count(Cause.OVERHEAD) <= 5
    assert causes[0] == causes[-1] == Cause.IDLE


def test_waits_for_other_units_are_distinguished_from_the_bus(bench: Any) -> None:
    transfer = StoreInstruction(address=0, source=0, words=100, rows=1, memory_pitch=0, chip_pitch=0)
    system = System(bench, bench.config(), [transfer], port_stall=0.6)
    system.run()
    system.check()
    assert system.driver.causes.count(Cause.ACTIVATIONS) > 20


def test_halting_completes_the_bursts_that_have_begun_and_no_more(bench: Any) -> None:
    config = bench.config()
    transfer = StoreInstruction(address=0, source=0, words=600, rows=1, memory_pitch=0, chip_pitch=0)
    system = System(bench, config, [transfer], latency=20, stall=0.2)

    def halts() -> bool:
        system.halted = len(system.memory.write_cycles) > 70
        return system.halted and system.quiet[-1]

    system.run(halts)
    written, bursts = len(system.memory.write_cycles), len(system.memory.writes)
    assert 70 < written < 200
    assert written == sum(burst.beats for burst in system.memory.writes)
    assert bursts == -(-written // BURST_WORDS)
    assert not system.driver.retired


@pytest.mark.parametrize("fields", [{"words": 0}, {"rows": 0}, {"address": 2}, {"source": 16380, "words": 5}])
def test_fields_out_of_range_are_illegal(bench: Any, fields: dict[str, int]) -> None:
    plain = {"address": 0, "source": 0, "words": 4, "rows": 1, "memory_pitch": 0, "chip_pitch": 0}
    system = System(bench, bench.config(), [StoreInstruction(**plain | fields)])
    system.run(lambda: bool(system.driver.illegal))
    assert not system.memory.writes


OUTSIDE = {     # fields, and the run of words outside a window of words 0x100 to 0x1FF
    "begins a word before": ({"address": 0x3FC}, 0),
    "begins at the base": ({"address": 0}, 0),
    "ends a word beyond": ({"address": 0x7F4}, 0),
    "begins at the limit": ({"address": 0x800}, 0),
    "the second row": ({"address": 0x400, "rows": 3, "memory_pitch": 0x100}, 1),
    "the farthest address": ({"address": (1 << 36) - 16}, 0),
    "the longest pitch": ({"address": 0x400, "rows": 2, "memory_pitch": (1 << 28) - 1}, 1),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_nothing_outside_the_window_is_written(bench: Any, case: str) -> None:
    fields, row = OUTSIDE[case]
    plain = {"address": 0x400, "source": 0, "words": 4, "rows": 1, "memory_pitch": 4, "chip_pitch": 4}
    store = StoreInstruction(**plain | fields)
    system = System(bench, bench.config(), [store, StoreInstruction(**plain)], low=0x400, high=BASE + 0x800)
    system.run(lambda: bool(system.outside))
    assert system.outside[0] == BASE + store.address + 4 * row * store.memory_pitch
    assert all(burst.address >= BASE + 0x400 and burst.address + 4 * burst.beats <= BASE + 0x800
               for burst in system.memory.writes)
    assert not system.driver.illegal and not system.driver.retired


def test_the_whole_window_may_be_written(bench: Any) -> None:
    store = StoreInstruction(address=0x400, source=0, words=0x80, rows=2, memory_pitch=0x80, chip_pitch=0x80)
    system = System(bench, bench.config(), [store], low=0x400, high=BASE + 0x800)
    system.run()
    system.check()
    assert not system.outside


def test_bus_errors_are_reported(bench: Any) -> None:
    transfer = StoreInstruction(address=0, source=0, words=64, rows=1, memory_pitch=0, chip_pitch=0)
    system = System(bench, bench.config(), [transfer], bad=range(BASE + 3 * BURST_WORDS * 4, MEMORY))
    system.run()
    assert system.errors == 1
