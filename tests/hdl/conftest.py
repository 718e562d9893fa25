"""Models of the environment of the bus side: an AXI memory, an instruction queue, and a simulation with a time limit."""

import gc
import random
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Signal, UnusedElaboratable, Value
from amaranth.sim import Simulator

from arrayloom.isa.bus import PAGE_BYTES
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import Instruction

DEADLINE = 20_000           # cycles
OUTSTANDING = 16            # outstanding bursts that the memory accepts in each direction, unless a test sets another number
OKAY, REFUSED = 0, 2        # responses

Process = Callable[[Any], Any]


@dataclass(frozen=True)
class Burst:
    identifier: int
    address: int
    beats: int


@dataclass
class AxiMemory:
    """A memory on an AXI4 master port that checks the rules of the bus.

    The first beat of a burst comes ``latency`` cycles after its address; in each cycle, a channel stalls with probability
    ``stall``. Addresses in ``bad`` answer with an error. At most ``takes`` bursts are outstanding.
    """

    axi: Any
    config: Config
    data: bytearray
    latency: int = 4
    stall: float = 0.0
    seed: int = 0
    bad: range = range(0)
    takes: int = OUTSTANDING
    reads: list[Burst] = field(default_factory=list)
    writes: list[Burst] = field(default_factory=list)
    read_cycles: list[int] = field(default_factory=list)
    write_cycles: list[int] = field(default_factory=list)
    most_outstanding: int = 0

    def check_address(self, channel: str, values: dict[str, int]) -> Burst:
        size = self.config.size
        burst = Burst(values["id"], values["addr"], values["len"] + 1)
        assert (1 << values["size"], values["burst"]) == (size, 1), f"{channel}: not whole words one after the other"
        assert burst.address % size == 0, f"{channel}: {burst} is misaligned"
        last = burst.address + burst.beats * size - 1
        assert burst.address // PAGE_BYTES == last // PAGE_BYTES, f"{channel}: {burst} crosses a page"
        return burst

    def response(self, address: int) -> int:
        return REFUSED if address in self.bad else OKAY

    async def serve_reads(self, ctx: Any) -> None:
        axi, rng, size = self.axi, random.Random(self.seed), self.config.size
        queue: deque[tuple[int, Burst]] = deque()
        names = ("id", "addr", "len", "size", "burst")
        cycle, beat, offered = 0, 0, False
        while True:
            ready = len(queue) < self.takes and rng.random() >= self.stall
            ctx.set(axi.arready, ready)
            due = bool(queue) and queue[0][0] <= cycle
            offered = due and (offered or rng.random() >= self.stall)
            ctx.set(axi.rvalid, offered)
            if offered:
                burst = queue[0][1]
                address = burst.address + beat * size
                word = self.data[address:address + size].ljust(size, b"\0")
                ctx.set(axi.rid, burst.identifier)
                ctx.set(axi.rdata, int.from_bytes(word, "little"))
                ctx.set(axi.rresp, self.response(address))
                ctx.set(axi.rlast, beat == burst.beats - 1)
            *_, asked, taken, identifier, address, length, shift, kind = await ctx.tick().sample(
                axi.arvalid, axi.rready, *(getattr(axi, "ar" + name) for name in names))
            if asked and ready:
                self.reads.append(self.check_address("AR", dict(zip(
                    names, (identifier, address, length, shift, kind), strict=True))))
                queue.append((cycle + self.latency, self.reads[-1]))
                self.most_outstanding = max(self.most_outstanding, len(queue))
            if offered and taken:
                self.read_cycles.append(cycle)
                offered = False
                beat += 1
                if beat == queue[0][1].beats:
                    queue.popleft()
                    beat = 0
            cycle += 1

    async def serve_writes(self, ctx: Any) -> None:
        axi, rng, size = self.axi, random.Random(self.seed + 1), self.config.size
        addressed: deque[Burst] = deque()
        words: deque[tuple[int, bool]] = deque()
        answers: deque[tuple[int, int]] = deque()
        names = ("id", "addr", "len", "size", "burst")
        cycle, beat, answering = 0, 0, False
        while True:
            ready = len(addressed) + len(answers) < self.takes and rng.random() >= self.stall
            takes = rng.random() >= self.stall
            answering = bool(answers) and answers[0][0] <= cycle and (answering or rng.random() >= self.stall)
            ctx.set(axi.awready, ready)
            ctx.set(axi.wready, takes)
            ctx.set(axi.bvalid, answering)
            if answering:
                ctx.set(axi.bresp, answers[0][1])
            *_, asked, given, word, last, strobe, answered, identifier, address, length, shift, kind = (
                await ctx.tick().sample(axi.awvalid, axi.wvalid, axi.wdata, axi.wlast, axi.wstrb, axi.bready,
                                        *(getattr(axi, "aw" + name) for name in names)))
            if answering and answered:
                answers.popleft()
                answering = False
            if asked and ready:
                self.writes.append(self.check_address("AW", dict(zip(
                    names, (identifier, address, length, shift, kind), strict=True))))
                addressed.append(self.writes[-1])
            if given and takes:
                assert strobe == (1 << size) - 1, "W: a byte is left out"
                self.write_cycles.append(cycle)
                words.append((word, bool(last)))
            while addressed and words:
                burst = addressed[0]
                word, last = words.popleft()
                address = burst.address + beat * size
                self.data[address:address + size] = word.to_bytes(size, "little")
                beat += 1
                assert last == (beat == burst.beats), "W: last is not the last"
                if last:
                    answers.append((cycle + self.latency, self.response(burst.address)))
                    addressed.popleft()
                    beat = 0
            cycle += 1


async def send(ctx: Any, port: Any, instruction: Instruction) -> None:
    """Offers an instruction to a stream until it is accepted."""
    ctx.set(port.payload, int.from_bytes(instruction.encode(), "little"))
    ctx.set(port.valid, 1)
    taken = False
    while not taken:
        *_, taken = await ctx.tick().sample(port.ready)
    ctx.set(port.valid, 0)


@dataclass
class UnitDriver:
    """Simulates a unit's issue queue: offers ``instructions`` in order and records the unit's behaviour."""

    unit: Any
    instructions: Sequence[Instruction]
    gap: float = 0.0
    seed: int = 0
    retired: list[int] = field(default_factory=list)
    causes: list[int] = field(default_factory=list)
    illegal: list[int] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.retired) == len(self.instructions)

    async def offer(self, ctx: Any) -> None:
        rng, stream = random.Random(self.seed), self.unit.instruction
        for instruction in self.instructions:
            while rng.random() < self.gap:
                await ctx.tick()
            await send(ctx, stream, instruction)

    async def watch(self, ctx: Any) -> None:
        cycle = 0
        while True:
            *_, retired, cause, illegal = await ctx.tick().sample(
                self.unit.retired, self.unit.cause, self.unit.illegal)
            self.causes.append(cause)
            if retired:
                self.retired.append(cycle)
            if illegal:
                self.illegal.append(cycle)
            cycle += 1


class Bench:
    """The models, and a way to run them."""

    AxiMemory, UnitDriver = AxiMemory, UnitDriver
    send = staticmethod(send)

    @staticmethod
    def config(name: str = "tiny") -> Config:
        return PRESETS[name]

    @staticmethod
    def run(design: Elaboratable, processes: Iterable[Process], done: Callable[[], bool], extra: int = 8,
            deadline: int = DEADLINE) -> int:
        """Runs until ``done``, then ``extra`` cycles more; returns the cycles. Fails if it takes too long."""
        simulator = Simulator(design)
        simulator.add_clock(1e-8)
        for process in processes:
            simulator.add_testbench(process, background=True)
        cycles = 0

        async def clock(ctx: Any) -> None:
            nonlocal cycles
            while not done():
                assert cycles < deadline, f"not done after {cycles} cycles"
                await ctx.tick()
                cycles += 1
            await ctx.tick().repeat(extra)

        simulator.add_testbench(clock)
        simulator.run()
        return cycles

    @staticmethod
    def ports(component: Any) -> list[Signal]:
        """The ports of a component, in the form that conversion takes."""
        values = (Value.cast(value) for _, _, value in component.signature.flatten(component))
        return [value for value in values if isinstance(value, Signal)]


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    return Bench


@pytest.fixture(scope="session")
def refuses() -> Callable[[Callable[[], Any], str], None]:
    """Asserts that building something raises with exactly that message."""
    def check(build: Callable[[], Any], message: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnusedElaboratable)     # a refused component is never elaborated
            with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}$"):
                build()
            gc.collect()

    return check
