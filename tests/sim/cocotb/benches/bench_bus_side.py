"""FETCH, LOAD and STORE concurrently on one bus: every word arrives where the emulator puts it."""

import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, First, RisingEdge

from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import CORE_UNITS, FIELD_BYTES, INSTRUCTION_BYTES, Instruction, encode_all
from arrayloom.isa.instructions import (
    End,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Store,
)
from arrayloom.sim.cocotb.board import start_clock
from arrayloom.sim.cocotb.memory import BoardMemory, Traffic, connect_memory
from arrayloom.sim.cocotb.runner import read_settings
from arrayloom.sim.emulator import Machine, transfer

BASE = 0x12_3456_7000       # above 32 bits, page-aligned
MEMORY_BYTES = 1 << 17
RESULTS = 1 << 16           # STORE writes from here on; LOAD and FETCH read below
CODE = 0x2FC0               # in the middle of a chunk and of a page
DEADLINE = 60_000           # cycles
SINK_WORDS = {"weights": 64, "parameters": 48, "tables": 40}
BUSY = 0.7                  # probability that a queue accepts an instruction in a cycle
DRAIN = 0.2                 # probability that a FIFO is read in a cycle: slower than the bus, so that FIFOs fill


class Queue:
    """Gives instructions to a unit, and waits until they are retired."""

    def __init__(self, dut: Any, name: str) -> None:
        self.edge = RisingEdge(dut.clk)
        self.payload, self.valid, self.ready = (
            getattr(dut, f"{name}__instruction__{part}") for part in ("payload", "valid", "ready"))
        self.retiring, self.illegal = getattr(dut, f"{name}__retired"), getattr(dut, f"{name}__illegal")
        self.valid.value = 0
        self.retired = 0
        cocotb.start_soon(self._watch())

    async def execute(self, instructions: list[Instruction]) -> None:
        end = self.retired + len(instructions)
        for instruction in instructions:
            self.payload.value = int.from_bytes(instruction.encode()[:FIELD_BYTES], "little")
            self.valid.value = 1
            await self.edge
            while not self.ready.value:
                await self.edge
            self.valid.value = 0
        while self.retired < end:
            await self.edge

    async def _watch(self) -> None:
        while True:
            await self.edge
            assert not self.illegal.value
            self.retired += bool(self.retiring.value)


class Sink:
    """A FIFO that LOAD fills and that is read at random."""

    def __init__(self, dut: Any, name: str, rng: random.Random) -> None:
        self.words: list[int] = []
        cocotb.start_soon(self._run(dut, name, rng))

    async def _run(self, dut: Any, name: str, rng: random.Random) -> None:
        valid, data, free = (getattr(dut, f"{name}__{part}") for part in ("valid", "data", "free"))
        depth, level, edge = SINK_WORDS[name], 0, RisingEdge(dut.clk)
        while True:
            free.value = depth - level
            await edge
            if valid.value:
                self.words.append(data.value.to_unsigned())
                level += 1
                assert level <= depth, f"{name} overflows"
            level -= bool(level) and rng.random() < DRAIN


async def fetch(dut: Any, rng: random.Random) -> list[list[int]]:
    """Runs the program at CODE; returns the instructions that each queue received."""
    got: list[list[int]] = [[] for _ in CORE_UNITS]
    queues = [tuple(getattr(dut, f"queues__{unit}__{part}") for part in ("payload", "valid", "ready"))
              for unit in CORE_UNITS]
    edge = RisingEdge(dut.clk)
    dut.fetch__start.value, dut.idle.value = 1, 1
    await edge
    dut.fetch__start.value = 0
    while not dut.fetch__finished.value:
        taking = [rng.random() < BUSY for _ in CORE_UNITS]
        for (_, _, ready), takes in zip(queues, taking, strict=True):
            ready.value = takes
        await edge
        assert not dut.fetch__illegal.value and not dut.fetch__bus_error.value
        for (payload, valid, _), takes, words in zip(queues, taking, got, strict=True):
            if takes and valid.value:
                words.append(payload.value.to_unsigned())
    return got


def random_program(rng: random.Random, count: int) -> list[Instruction]:
    """Instructions of every kind with random fields, and End."""
    kinds = [cls for cls in PRESETS["tiny"].instructions if cls is not End]
    masks = dict.fromkeys(("wait", "signal"), (1 << len(CORE_UNITS)) - 1)
    fields = [(cls, {spec.name: rng.randint(spec.low, masks.get(spec.name, spec.high)) for spec in cls.specs()[1:]})
              for cls in rng.choices(kinds, k=count)]
    return [*(cls(**values) for cls, values in fields), End()]


def random_transfers(rng: random.Random, config: Config) -> Iterator[tuple[list[Instruction], list[Instruction]]]:
    """Phases of concurrent LOAD and STORE instructions: STORE takes the words that LOAD brought one phase before."""
    half = config.activation_words // 2
    previous: list[LoadActivations] = []
    for phase in range(4):
        loads: list[Instruction] = []
        for _ in range(6):
            words, rows = rng.choice((1, 2, 7, 16, 17, 40)), rng.randint(1, 5)
            pitch = words + rng.choice((0, 1, 9))
            loads.append(LoadActivations(
                address=config.size * rng.randrange(8000), words=words, rows=rows,
                destination=phase % 2 * half + rng.randrange(half - rows * pitch),
                memory_pitch=rng.randint(0, 600), chip_pitch=pitch))
        bulk = [LoadWeights(address=config.size * rng.randrange(9000), words=config.size * rng.randint(1, 80)),
                LoadParameters(address=config.size * rng.randrange(9000), entries=rng.randint(1, 90)),
                LoadLookupTable(address=config.size * rng.randrange(9000))]
        stores: list[Instruction] = [Store(
            address=RESULTS + config.size * 2000 * index, source=load.destination, words=load.words, rows=load.rows,
            memory_pitch=load.words + rng.randint(0, 100), chip_pitch=load.chip_pitch)
            for index, load in enumerate(previous)]
        previous = [load for load in loads if isinstance(load, LoadActivations)]
        together = [*loads, *bulk]
        rng.shuffle(together)
        yield together, stores


def emulate(machine: Machine, instructions: list[Instruction]) -> None:
    actions = {LoadActivations: transfer.load_activations, LoadWeights: transfer.load_weights,
               LoadParameters: transfer.load_parameters, LoadLookupTable: transfer.load_lookup_table, Store: transfer.store}
    for instruction in instructions:
        actions[type(instruction)](machine, instruction)  # type: ignore[operator]


def packed(words: list[int], size: int) -> bytes:
    return b"".join(word.to_bytes(size, "little") for word in words)


@cocotb.test()
async def transfers(dut: Any) -> None:
    """Random transfers of all kinds and a random program, in several phases."""
    settings = read_settings()
    config, traffic = PRESETS["tiny"], Traffic(**settings["traffic"])
    rng = random.Random(settings["traffic"]["seed"])
    memory = np.frombuffer(rng.randbytes(MEMORY_BYTES), np.uint8).copy()
    program = random_program(rng, 60)
    code = encode_all(program, CODE // INSTRUCTION_BYTES).tobytes()
    memory[CODE:CODE + len(code)] = np.frombuffer(code, np.uint8)
    machine = Machine(config, memory.copy())

    bus = BoardMemory(memory, BASE, dut.clk, traffic)
    connect_memory(dut, "axi_", bus)
    load, store = Queue(dut, "load"), Queue(dut, "store")
    sinks = {name: Sink(dut, name, rng) for name in SINK_WORDS}
    dut.base.value, dut.limit.value, dut.code.value = BASE, BASE + MEMORY_BYTES, BASE + CODE
    dut.fetch__start.value, dut.status__halt.value = 0, 0
    await start_clock(dut)
    fetching = cocotb.start_soon(fetch(dut, rng))

    async def play() -> None:
        for loads, stores in random_transfers(rng, config):
            tasks = [cocotb.start_soon(load.execute(loads)), cocotb.start_soon(store.execute(stores))]
            for task in tasks:
                await task
            # A phase's transfers use different words on chip: STORE reads the half that LOAD does not write.
            emulate(machine, stores)
            emulate(machine, loads)

    playing = cocotb.start_soon(play())
    deadline = ClockCycles(dut.clk, DEADLINE)
    for task in (playing, fetching):
        assert await First(task, deadline) is not deadline, "not done in time"
    await ClockCycles(dut.clk, 20)

    assert dut.status__quiet.value
    assert (memory == machine.memory).all()
    expected = {"weights": machine.weights, "parameters": machine.parameters, "tables": machine.tables}
    for name, parts in expected.items():
        assert packed(sinks[name].words, config.size) == b"".join(part.tobytes() for part in parts), name
    words = [int.from_bytes(code[start:start + FIELD_BYTES], "little")
             for start in range(0, len(code), INSTRUCTION_BYTES)]
    for unit, got in zip(CORE_UNITS, fetching.result(), strict=True):
        assert got == [word for word, one in zip(words, program, strict=True) if one.UNIT is unit], unit.name


@cocotb.test()
async def refusals(dut: Any) -> None:
    """Each bus error is reported to the unit at fault, and the others continue."""
    settings = read_settings()
    traffic = Traffic(**settings["traffic"])
    rng = random.Random(settings["traffic"]["seed"])
    memory = np.frombuffer(rng.randbytes(MEMORY_BYTES), np.uint8).copy()
    connect_memory(dut, "axi_", BoardMemory(memory, BASE, dut.clk, traffic, [range(BASE + 0x400, BASE + 0x404)]))
    load, store = Queue(dut, "load"), Queue(dut, "store")
    for name in SINK_WORDS:
        Sink(dut, name, rng)
    dut.base.value, dut.limit.value, dut.code.value = BASE, BASE + MEMORY_BYTES, BASE + CODE
    dut.fetch__start.value, dut.status__halt.value = 0, 0
    await start_clock(dut)
    errors = {"load": 0, "store": 0}

    async def watch() -> None:
        while True:
            await RisingEdge(dut.clk)
            errors["load"] += bool(dut.load_error.value)
            errors["store"] += bool(dut.store_error.value)

    cocotb.start_soon(watch())
    region = {"words": 64, "rows": 1, "memory_pitch": 0, "chip_pitch": 0}
    for base, expected in ((0x3C0, (1, 0)), (0x404, (1, 0)), (0x300, (1, 0)), (0x400, (2, 0))):
        await load.execute([LoadActivations(address=base, destination=0, **region)])
        await ClockCycles(dut.clk, 4)
        assert (errors["load"], errors["store"]) == expected, hex(base)
    before = memory.copy()
    await store.execute([Store(address=0x3C0, source=0, **region)])
    await ClockCycles(dut.clk, 4)
    assert errors == {"load": 2, "store": 1}
    assert (memory[0x400:0x404] == before[0x400:0x404]).all()
    assert (memory[0x3C0:0x400] == before[0x400:0x440]).sum() >= 60
