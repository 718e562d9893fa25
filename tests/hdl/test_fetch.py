"""FETCH on the bus: every instruction arrives at its queue, in order, up to End."""

import random
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib.wiring import connect

from arrayloom.hdl.axi import Bus
from arrayloom.hdl.fetch import Fetch
from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.config import Config
from arrayloom.isa.fields import CORE_UNITS, FIELD_BYTES, INSTRUCTION_BYTES, Instruction, Unit, check_of, encode_all
from arrayloom.isa.instructions import Convolve, Drain, Elementwise, End, LoadLookupTable, LoadWeights, Pool, Store
from arrayloom.isa.registers import Cause

KINDS = (LoadWeights, LoadLookupTable, Convolve, Drain, Elementwise, Pool, Store)


class System:
    """FETCH, the bus, a memory with a program, and queues that are full with probability ``full``."""

    def __init__(self, bench: Any, config: Config, code: bytes, *, program: int = 0x1000, full: float = 0.0,
                 idle_after: int = 0, base: int | None = None, limit: int = 0, **memory: Any) -> None:
        """``base``: by default the beginning of the program; ``limit``: 0 means the end of memory."""
        self.bench, self.config, self.full, self.idle_after = bench, config, full, idle_after
        self.fetch, self.bus = Fetch(config), Bus(config)
        self.design = Module()
        self.design.submodules += [self.fetch, self.bus]
        connect(self.design, self.fetch.bus, self.bus.fetch)
        self.design.d.comb += self.bus.load.beat.ready.eq(1)
        self.program = program
        data = random.Random(3).randbytes(program) + code
        # Bytes after the program must not matter.
        data += random.Random(4).randbytes(4096)
        self.memory = bench.AxiMemory(self.bus.axi, config, bytearray(data), **memory)
        self.base, self.limit = program if base is None else base, limit or len(data) // config.size * config.size
        self.pushed: list[tuple[Unit, int]] = []
        self.causes: list[int] = []
        self.events: dict[str, list[int]] = {"fetched": [], "finished": [], "illegal": [], "bus_error": [], "damaged": [],
                                            "outside": []}
        self.outside_at = None
        self.cycle = 0

    async def start(self, ctx: Any) -> None:
        for name in ("program", "base", "limit"):
            ctx.set(getattr(self.fetch, name), getattr(self, name))
        await ctx.tick().repeat(3)
        ctx.set(self.fetch.control.start, 1)
        await ctx.tick()
        ctx.set(self.fetch.control.start, 0)

    async def queues(self, ctx: Any) -> None:
        rng = random.Random(5)
        while True:
            ready = [rng.random() >= self.full for _ in CORE_UNITS]
            for unit in CORE_UNITS:
                ctx.set(self.fetch.queues[unit].ready, ready[unit])
            ctx.set(self.fetch.idle, self.cycle >= self.idle_after)
            signals = [self.fetch.queues[unit].valid for unit in CORE_UNITS] + [self.fetch.queues[0].payload]
            *_, load, array, post, store, payload = await ctx.tick().sample(*signals)
            for unit, valid in zip(CORE_UNITS, (load, array, post, store), strict=True):
                if valid and ready[unit]:
                    self.pushed.append((unit, payload))

    async def watch(self, ctx: Any) -> None:
        control = self.fetch.control
        while True:
            *_, cause, address, pulses = await ctx.tick().sample(
                control.cause, control.address, Cat(getattr(control, name) for name in self.events))
            self.causes.append(cause)
            for place, name in enumerate(self.events):
                self.events[name] += [self.cycle] * (pulses >> place & 1)
            if pulses >> list(self.events).index("outside") & 1:
                self.outside_at = address
            self.cycle += 1

    def run(self, event: str = "finished", extra: int = 300) -> None:
        processes = [self.start, self.queues, self.watch, self.memory.serve_reads]
        self.bench.run(self.design, processes, lambda: bool(self.events[event]), extra)


def make_program(seed: int, count: int) -> list[Instruction]:
    rng = random.Random(seed)
    made: list[Instruction] = []
    for _ in range(count):
        cls = rng.choice(KINDS)
        fields = {spec.name: rng.randint(spec.low, spec.high) for spec in cls.specs()[3:]}
        made.append(cls(wait=rng.randrange(16), **fields))
    return made


def encode(instructions: list[Instruction]) -> bytes:
    return encode_all(instructions).tobytes()


def expected(instructions: list[Instruction]) -> list[tuple[Unit | None, int]]:
    return [(i.UNIT, int.from_bytes(i.encode()[:FIELD_BYTES], "little")) for i in instructions]


def raw(word: int, index: int) -> bytes:
    """A word that is no instruction, with a valid checksum."""
    fields = word.to_bytes(FIELD_BYTES, "little")
    return fields + check_of(fields, index)


@pytest.mark.parametrize(("name", "seed"), [("tiny", 0), ("tiny", 1), ("16x16", 2), ("64x64", 3)])
def test_instructions_reach_their_queues_in_order(bench: Any, name: str, seed: int) -> None:
    instructions = make_program(seed, 50)
    system = System(bench, bench.config(name), encode([*instructions, End()]), full=0.4, stall=0.2, latency=20)
    system.run()
    assert system.pushed == expected(instructions)
    assert len(system.events["fetched"]) == 51
    assert len(system.events["finished"]) == 1
    assert not system.events["illegal"]


def test_a_word_may_hold_two_instructions(bench: Any) -> None:
    config = Config(name="wide", size=128, lanes=32, column_stage=128, row_stage=4, accumulator_depth=64,
                    activation_bytes=1 << 20, weight_words=256)
    instructions = make_program(7, 21)
    system = System(bench, config, encode([*instructions, End()]), full=0.3)
    system.run()
    assert system.pushed == expected(instructions)


@pytest.mark.parametrize("start", [0x1000, 0x1040, 0x10C0, 0x1FC0])
def test_a_program_may_start_at_any_instruction(bench: Any, start: int) -> None:
    instructions = make_program(start, 9)
    system = System(bench, bench.config(), encode([*instructions, End()]), program=start)
    system.run()
    assert system.pushed == expected(instructions)


def test_nothing_is_asked_for_once_end_is_seen(bench: Any) -> None:
    # The third instruction leaves the buffer one entry short of room for the next chunk.
    system = System(bench, bench.config("16x16"), encode([LoadLookupTable(), LoadLookupTable(), End()]))
    system.run()
    assert sum(burst.beats for burst in system.memory.reads) * 16 == FETCH_BUFFER_BYTES


def test_no_more_is_asked_for_than_the_buffer_holds(bench: Any) -> None:
    system = System(bench, bench.config("16x16"), encode([*make_program(1, 60), End()]), full=1.0)
    system.bench.run(system.design, [system.start, system.queues, system.watch, system.memory.serve_reads],
                     lambda: system.cycle == 600)
    held = len(system.memory.read_cycles) * 16
    assert FETCH_BUFFER_BYTES <= held <= FETCH_BUFFER_BYTES + INSTRUCTION_BYTES


def test_errors_after_end_do_not_matter(bench: Any) -> None:
    instructions = make_program(2, 5)
    code = encode([*instructions, End()])
    system = System(bench, bench.config(), code, bad=range(0x1000 + len(code), 0x4000))
    system.run()
    assert system.pushed == expected(instructions)
    assert not system.events["bus_error"]


@pytest.mark.parametrize("offset", [0, 32, 60])
def test_an_error_before_end_stops_the_program(bench: Any, offset: int) -> None:
    instructions = make_program(2, 5)
    word = 0x1000 + 3 * INSTRUCTION_BYTES + offset
    system = System(bench, bench.config(), encode([*instructions, End()]), bad=range(word, word + 4))
    system.run("bus_error")
    assert system.pushed == expected(instructions[:3])
    assert len(system.events["bus_error"]) == 1
    assert not system.events["finished"]


LAST = LoadLookupTable.specs()[-1]
BAD = {
    "unknown opcode": 63,
    "opcode 0": 0,
    "reserved bit": LoadLookupTable.OPCODE | 1 << 479,
    "lowest reserved bit": LoadLookupTable.OPCODE | 1 << LAST.offset + LAST.width,
    "waits for a unit to come": LoadLookupTable.OPCODE | 1 << 6 + len(CORE_UNITS),
    "signals the last unit to come": LoadLookupTable.OPCODE | 1 << 17,
    "end that waits": End.OPCODE | 1 << 6,
    "end that signals": End.OPCODE | 2 << 12,
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_instruction_is_illegal_and_dispatched_nowhere(bench: Any, case: str) -> None:
    instructions = make_program(3, 3)
    code = encode(instructions) + raw(BAD[case], 3) + encode([LoadLookupTable(), End()])
    system = System(bench, bench.config("16x16"), code)
    system.run("illegal")
    assert system.pushed == expected(instructions)
    assert len(system.events["illegal"]) == 1
    assert not system.events["finished"]


@pytest.mark.parametrize("size", [4, 16, 64, 128])
def test_a_flipped_bit_or_another_place_is_damage(bench: Any, size: int) -> None:
    """Every bit of an instruction is checked, including its checksum; so is its place in the program."""
    config = Config(name="any", size=size, lanes=size // 2, column_stage=size, row_stage=4, accumulator_depth=64,
                    activation_bytes=1 << 20, weight_words=256)
    instructions, rng = [*make_program(9, 4), End()], random.Random(size)
    code = encode(instructions)
    for bit in [rng.randrange(512) for _ in range(6)] + [479, 480, 511]:
        bad = bytearray(code)
        bad[2 * INSTRUCTION_BYTES + bit // 8] ^= 1 << bit % 8
        system = System(bench, config, bytes(bad), program=0x1000)
        system.run("damaged", extra=30)
        assert system.pushed == expected(instructions[:2])
        assert not system.events["finished"] and not system.events["illegal"]
    elsewhere = System(bench, config, code, base=0x1000 - INSTRUCTION_BYTES)
    elsewhere.run("damaged", extra=30)
    assert not elsewhere.pushed
    swapped = code[:64] + code[128:192] + code[64:128] + code[192:]
    system = System(bench, config, swapped)
    system.run("damaged", extra=30)
    assert system.pushed == expected(instructions[:1])


@pytest.mark.parametrize("name", ["tiny", "16x16", "64x64"])
def test_nothing_is_read_beyond_the_limit(bench: Any, name: str) -> None:
    """A program that ends at the limit runs; a longer one fails at the address of its next instruction."""
    instructions, config = make_program(5, 9), bench.config(name)
    code = encode([*instructions, End()])
    system = System(bench, config, code, limit=0x1000 + len(code))
    system.run()
    assert system.pushed == expected(instructions) and not system.events["outside"]
    assert max(burst.address + burst.beats * config.size for burst in system.memory.reads) == 0x1000 + len(code)
    system = System(bench, config, code, limit=0x1000 + 3 * INSTRUCTION_BYTES)
    system.run("outside")
    assert system.pushed == expected(instructions[:3]) and system.outside_at == 0x1000 + 3 * INSTRUCTION_BYTES
    assert len(system.events["outside"]) == 1 and not system.events["finished"]


@pytest.mark.parametrize(("base", "limit"), [(0x1040, 0), (0, 0x1000), (0, 0x800), (0x2000, 0x1000)])
def test_a_program_outside_its_memory_is_not_read(bench: Any, base: int, limit: int) -> None:
    system = System(bench, bench.config(), encode([End()]), base=base, limit=limit)
    system.run("outside")
    assert not system.memory.reads and system.outside_at == 0x1000


def test_a_misaligned_program_is_illegal(bench: Any) -> None:
    system = System(bench, bench.config(), encode([End()]), program=0x1020)
    system.run("illegal")
    assert not system.memory.reads


def test_the_end_waits_until_all_is_done(bench: Any) -> None:
    system = System(bench, bench.config("64x64"), encode([End()]), idle_after=200)
    system.run()
    assert len(system.events["finished"]) == 1
    assert 200 <= system.events["finished"][0] <= 202


def test_every_cycle_has_its_cause(bench: Any) -> None:
    system = System(bench, bench.config("16x16"), encode([*make_program(1, 20), End()]), latency=64, idle_after=400)
    system.run()
    causes, first = system.causes, system.events["fetched"][0]
    assert causes.count(Cause.COMPUTING) == 3 * 20 + 2      # End is not pushed
    assert set(causes[5:first - 8]) == {Cause.MEMORY}
    assert Cause.SPACE not in causes
    assert set(causes[system.events["fetched"][-1] + 2:]) == {Cause.IDLE}


def test_a_full_queue_is_a_lack_of_space(bench: Any) -> None:
    system = System(bench, bench.config(), encode([*make_program(1, 5), End()]), full=1.0)
    system.bench.run(system.design, [system.start, system.queues, system.watch, system.memory.serve_reads],
                     lambda: system.cycle == 300)
    assert set(system.causes[200:]) == {Cause.SPACE}


def test_instructions_come_as_fast_as_the_bus_gives_them(bench: Any) -> None:
    system = System(bench, bench.config("16x16"), encode([*make_program(3, 100), End()]), latency=64)
    system.run()
    fetched = system.events["fetched"]
    assert (fetched[-1] - fetched[0]) / 100 < 9
