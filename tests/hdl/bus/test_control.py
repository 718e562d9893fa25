"""The registers over AXI4-Lite, and the runs they control."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hdl.control import Control
from isa.fields import Unit, Units
from isa.registers import (
    IDENTITY_VALUE,
    TOKEN_BITS,
    VERSION_VALUE,
    Block,
    Cause,
    Error,
    Register,
    StateWord,
    StatusWord,
    counter_address,
)
from isa.registers import Control as ControlBit

START, RESET = 1 << ControlBit.START, 1 << ControlBit.RESET
REFUSED = 2

Script = Callable[["Host"], Awaitable[None]]


class Host:
    """A master on the AXI4-Lite port of a control unit, with everything else of the accelerator in its hands."""

    def __init__(self, bench: Any, stall: float = 0.0) -> None:
        self.bench = bench
        self.config = bench.config()
        self.control = Control(self.config)
        self.rng, self.stall = random.Random(11), stall
        self.ctx: Any = None
        self.refused = False
        self.answered = 0
        self.resets: list[Any] = []     # what ``clear`` sets to zero
        self.pulses: dict[str, int] = {"start": 0, "clear": 0}
        self.counted = [[0] * len(Cause) for _ in Block]

    def run(self, script: Script) -> None:
        finished = []

        async def play(ctx: Any) -> None:
            self.ctx = ctx
            ctx.set(self.control.bus.quiet, 1)
            for unit in self.control.units:
                ctx.set(unit.idle, 1)
            await script(self)
            finished.append(True)

        async def watch(ctx: Any) -> None:
            cleared = False
            while True:
                *_, start, clear, running, load, array, post, store, fetch = await ctx.tick().sample(
                    self.control.fetch.start, self.control.clear, self.control.events.running, *self.causes())
                for counters, cause in zip(self.counted, (load, array, post, store, fetch), strict=True):
                    counters[cause] += running
                for signal in self.resets if clear else ():
                    ctx.set(signal, 0)
                self.pulses["start"] += start
                self.pulses["clear"] += clear and not cleared
                cleared = clear

        self.bench.run(self.control, [play, watch], lambda: bool(finished))

    def causes(self) -> list[Any]:
        return [*(unit.cause for unit in self.control.units), self.control.fetch.cause]

    async def hesitate(self) -> None:
        while self.rng.random() < self.stall:
            await self.ctx.tick()

    async def handshake(self, ready: Any) -> None:
        done = False
        while not done:
            *_, done = await self.ctx.tick().sample(ready)

    async def write(self, address: int, value: int, strobe: int = 15) -> None:
        """Address and data in any order; notes whether the write was refused."""
        axi, ctx = self.control.axi, self.ctx
        channels = [(axi.awvalid, axi.awready, [(axi.awaddr, address)]),
                    (axi.wvalid, axi.wready, [(axi.wdata, value), (axi.wstrb, strobe)])]
        self.rng.shuffle(channels)
        for valid, ready, payload in channels:
            await self.hesitate()
            for signal, number in payload:
                ctx.set(signal, number)
            ctx.set(valid, 1)
            await self.handshake(ready)
            ctx.set(valid, 0)
        await self.hesitate()
        self.refused = await self.answer(axi.bready, axi.bvalid, axi.bresp) == REFUSED

    async def read(self, address: int) -> int:
        axi, ctx = self.control.axi, self.ctx
        await self.hesitate()
        ctx.set(axi.araddr, address)
        ctx.set(axi.arvalid, 1)
        await self.handshake(axi.arready)
        ctx.set(axi.arvalid, 0)
        await self.hesitate()
        self.refused = await self.answer(axi.rready, axi.rvalid, axi.rresp) == REFUSED
        return self.answered

    async def answer(self, ready: Any, valid: Any, response: Any) -> int:
        self.ctx.set(ready, 1)
        there, code = False, 0
        while not there:
            *_, there, code, self.answered = await self.ctx.tick().sample(valid, response, self.control.axi.rdata)
        self.ctx.set(ready, 0)
        return code

    async def read_wide(self, address: int) -> int:
        return await self.read(address) | await self.read(address + 4) << 32

    async def status(self) -> StatusWord:
        return StatusWord.decode(await self.read(Register.STATUS))

    async def pulse(self, signal: Any) -> None:
        self.ctx.set(signal, 1)
        await self.ctx.tick()
        self.ctx.set(signal, 0)

    async def wait(self, cycles: int) -> None:
        await self.ctx.tick().repeat(cycles)


def scripted(**options: Any) -> Callable[[Script], Callable[[Any], None]]:
    """A test from a script for a host."""
    def make(script: Script) -> Callable[[Any], None]:
        def test(bench: Any) -> None:
            Host(bench, **options).run(script)
        return test
    return make


@scripted(stall=0.5)
async def test_constants_and_stored_registers(host: Host) -> None:
    assert await host.read(Register.IDENTITY) == IDENTITY_VALUE
    assert await host.read(Register.VERSION) == VERSION_VALUE
    assert await host.read(Register.CONFIG) == int(host.config.digest[:8], 16)
    widths: dict[int, int] = {
        Register.INTERRUPT_ENABLE: 1, Register.WATCHDOG: 32, Register.PROGRAM: 32, Register.PROGRAM_HIGH: 8,
        Register.BASE: 32, Register.BASE_HIGH: 8}
    values = {register: random.Random(register).getrandbits(32) | 1 for register in widths}
    for register, value in values.items():
        await host.write(register, value)
        assert not host.refused
    for register, value in values.items():
        assert await host.read(register) == value & (1 << widths[register]) - 1
    ports = host.ctx.get(host.control.program), host.ctx.get(host.control.base)
    assert ports == tuple(values[low] | (values[low + 4] & 0xFF) << 32 for low in (Register.PROGRAM, Register.BASE))


@scripted()
async def test_a_second_write_waits_for_the_answer_to_the_first(host: Host) -> None:
    axi, ctx = host.control.axi, host.ctx
    ctx.set(axi.awvalid, 1)
    ctx.set(axi.wvalid, 1)
    for address in (Register.PROGRAM, Register.STATUS):
        ctx.set(axi.awaddr, address)
        ctx.set(axi.wdata, 5)
        ctx.set(axi.wstrb, 15)
        await host.handshake(axi.awready & axi.wready)
    ctx.set(axi.awvalid, 0)
    ctx.set(axi.wvalid, 0)
    await host.wait(5)
    answers = [await host.answer(axi.bready, axi.bvalid, axi.bresp) for _ in range(2)]
    assert answers == [0, REFUSED]


@scripted()
async def test_strobes_choose_bytes(host: Host) -> None:
    await host.write(Register.PROGRAM, 0x11223344)
    await host.write(Register.PROGRAM, 0xAABBCCDD, strobe=0b0101)
    assert await host.read(Register.PROGRAM) == 0x11BB33DD
    await host.write(Register.CONTROL, START, strobe=0b1110)
    assert not (await host.status()).busy


@scripted()
async def test_accesses_where_there_is_no_register_are_refused(host: Host) -> None:
    for address in (Register.STATUS, Register.IDENTITY, Register.CYCLES, Register.COUNTERS, Register.BURSTS, 0xFFC):
        await host.write(address, 1)
        assert host.refused, hex(address)
    last = counter_address(Block.FETCH, list(Cause)[-1]) + 4
    for address in (0x98, 0xFC, 0x3FC, 0xFFC, last + 4, counter_address(Block.FETCH, Cause.IDLE) + 0x80):
        await host.read(address)
        assert host.refused, hex(address)
    assert await host.read(last) == 0
    assert not host.refused


async def begin(host: Host) -> None:
    await host.write(Register.CONTROL, START)
    await host.wait(5 + len(Unit))


@scripted(stall=0.2)
async def test_the_counters_of_each_unit_sum_to_the_cycles(host: Host) -> None:
    rng = random.Random(6)
    for length in (200, 77):
        host.counted = [[0] * len(Cause) for _ in Block]
        await begin(host)
        for _ in range(length):
            for cause in host.causes():
                host.ctx.set(cause, rng.choice(list(Cause)))
            await host.ctx.tick()
        await host.pulse(host.control.fetch.finished)
        await host.wait(4)
        assert (await host.status()).done
        cycles = await host.read_wide(Register.CYCLES)
        assert length < cycles <= length + 8
        for block in Block:
            counters = [await host.read_wide(counter_address(block, cause)) for cause in Cause]
            assert counters == host.counted[block]
            assert sum(counters) == cycles


@scripted()
async def test_a_run_from_start_to_done(host: Host) -> None:
    control = host.control
    await host.write(Register.INTERRUPT_ENABLE, 1)
    assert host.ctx.get(control.halt)
    await begin(host)
    assert host.pulses == {"start": 1, "clear": 1}
    assert not host.ctx.get(control.halt)
    assert (await host.status()) == StatusWord(True, False, False, Error.NONE)
    await host.pulse(control.fetch.finished)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, True, False, Error.NONE)
    assert host.ctx.get(control.irq)
    assert host.ctx.get(control.halt)
    await host.write(Register.INTERRUPT, 1)
    await host.wait(1)
    assert not host.ctx.get(control.irq)
    cycles = await host.read_wide(Register.CYCLES)
    await host.wait(20)
    assert await host.read_wide(Register.CYCLES) == cycles
    await begin(host)
    assert host.pulses == {"start": 2, "clear": 2}
    assert (await host.status()) == StatusWord(True, False, False, Error.NONE)


@scripted()
async def test_an_interrupt_that_is_not_enabled_is_only_pending(host: Host) -> None:
    await begin(host)
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    assert not host.ctx.get(host.control.irq)
    assert await host.read(Register.INTERRUPT) == 1
    await host.write(Register.INTERRUPT_ENABLE, 1)
    assert host.ctx.get(host.control.irq)
    await host.write(Register.CONTROL, START)
    assert not host.ctx.get(host.control.irq)


@scripted()
async def test_what_a_run_uses_cannot_change_during_it(host: Host) -> None:
    await host.write(Register.PROGRAM, 0x1000)
    await begin(host)
    for register in (Register.PROGRAM, Register.PROGRAM_HIGH, Register.BASE, Register.BASE_HIGH):
        await host.write(register, 0x77)
        assert host.refused
    await host.write(Register.CONTROL, START)
    assert host.refused
    assert await host.read(Register.PROGRAM) == 0x1000
    assert host.pulses["start"] == 1


@scripted()
async def test_start_waits_until_the_bus_is_quiet(host: Host) -> None:
    host.ctx.set(host.control.bus.quiet, 0)
    await begin(host)
    await host.wait(20)
    assert host.pulses == {"start": 0, "clear": 0}
    assert host.ctx.get(host.control.bus.halt)
    assert (await host.status()).busy
    host.ctx.set(host.control.bus.quiet, 1)
    await host.wait(4 + len(Unit))
    assert host.pulses == {"start": 1, "clear": 1}
    assert not host.ctx.get(host.control.bus.halt)


@scripted()
async def test_all_units_are_in_reset_at_once_before_a_run(host: Host) -> None:
    control, ctx = host.control, host.ctx
    seen: list[int] = []
    for signal, value in ((control.axi.awaddr, Register.CONTROL), (control.axi.awvalid, 1), (control.axi.wdata, START),
                          (control.axi.wstrb, 1), (control.axi.wvalid, 1)):
        ctx.set(signal, value)
    await ctx.tick()
    ctx.set(control.axi.awvalid, 0)
    ctx.set(control.axi.wvalid, 0)
    while not ctx.get(control.events.running):
        seen.append(ctx.get(control.clear) | ctx.get(control.resets) << 1)
        await ctx.tick()
    assert ctx.get(control.clear) | ctx.get(control.resets) == 0
    assert seen[-1] == (1 << 1 + len(Unit)) - 1
    assert [value for value in seen if value] == [(2 << number) - 1 for number in range(1 + len(Unit))]


@scripted()
async def test_reset_ends_a_run_once_the_bus_is_quiet(host: Host) -> None:
    await begin(host)
    host.ctx.set(host.control.bus.quiet, 0)
    await host.write(Register.CONTROL, RESET)
    await host.wait(5)
    assert host.ctx.get(host.control.halt)
    assert (await host.status()) == StatusWord(True, False, False, Error.NONE)
    host.ctx.set(host.control.bus.quiet, 1)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, False, False, Error.NONE)
    assert await host.read(Register.INTERRUPT) == 0


SOURCES: dict[str, tuple[Callable[[Control], Any], Error, int]] = {
    "illegal in a unit": (lambda c: c.units[Unit.POST].illegal, Error.ILLEGAL_INSTRUCTION, Unit.POST),
    "illegal in fetch": (lambda c: c.fetch.illegal, Error.ILLEGAL_INSTRUCTION, Block.FETCH),
    "read of load": (lambda c: c.load_error, Error.BUS_READ, Unit.LOAD),
    "read of fetch": (lambda c: c.fetch.bus_error, Error.BUS_READ, Block.FETCH),
    "write": (lambda c: c.store_error, Error.BUS_WRITE, Unit.STORE),
    "overflow": (lambda c: c.units[Unit.ARRAY].overflow, Error.TOKEN_OVERFLOW, Unit.ARRAY),
}


@pytest.mark.parametrize("case", SOURCES)
def test_the_first_error_wins_and_ends_the_run(bench: Any, case: str) -> None:
    source, error, unit = SOURCES[case]

    async def script(host: Host) -> None:
        await host.write(Register.INTERRUPT_ENABLE, 1)
        await begin(host)
        await host.pulse(source(host.control))
        await host.pulse(host.control.fetch.illegal)
        await host.pulse(host.control.units[Unit.STORE].overflow)
        await host.pulse(host.control.fetch.finished)
        await host.wait(3)
        assert (await host.status()) == StatusWord(False, False, True, error)
        assert await host.read(Register.ERROR_UNIT) == unit
        assert host.ctx.get(host.control.halt)
        assert host.ctx.get(host.control.irq)
        await begin(host)
        assert (await host.status()) == StatusWord(True, False, False, Error.NONE)
        await host.pulse(host.control.fetch.finished)
        await host.wait(3)
        assert (await host.status()).done

    Host(bench).run(script)


@scripted()
async def test_an_error_in_the_last_cycle_is_not_lost(host: Host) -> None:
    await begin(host)
    host.ctx.set(host.control.store_error, 1)
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, False, True, Error.BUS_WRITE)


@scripted()
async def test_an_error_of_the_run_before_does_not_end_the_next(host: Host) -> None:
    illegal = host.control.units[Unit.LOAD].illegal
    await begin(host)
    host.ctx.set(illegal, 1)
    await host.wait(4)
    assert (await host.status()).failed
    host.resets = [illegal]
    await begin(host)
    await host.wait(20)
    assert (await host.status()) == StatusWord(True, False, False, Error.NONE)


@scripted()
async def test_tokens_left_name_their_consumer(host: Host) -> None:
    await begin(host)
    host.ctx.set(host.control.units[Unit.POST].tokens[Unit.LOAD], 1)
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, False, True, Error.TOKENS_LEFT)
    assert await host.read(Register.ERROR_UNIT) == Unit.POST
    assert await host.read(Register.TOKENS + 4 * Unit.POST) == 1 << TOKEN_BITS * Unit.LOAD


@scripted()
async def test_data_left_fails_the_run(host: Host) -> None:
    await begin(host)
    host.ctx.set(host.control.data_left, 1)
    await host.wait(10)
    assert (await host.status()).busy
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, False, True, Error.DATA_LEFT)


PROGRESS: dict[str, Callable[[Control], Any]] = {
    "retired": lambda c: c.units[Unit.ARRAY].retired,
    "word read": lambda c: c.bus.read,
    "word written": lambda c: c.bus.written,
    "work": lambda c: c.units[Unit.STORE].cause[Cause.COMPUTING.bit_length() - 1],
}


@pytest.mark.parametrize("case", PROGRESS)
def test_the_watchdog_ends_a_run_without_progress(bench: Any, case: str) -> None:
    async def script(host: Host) -> None:
        await host.write(Register.WATCHDOG, 50)
        await begin(host)
        host.ctx.set(host.control.units[Unit.POST].idle, 0)
        for _ in range(10):
            await host.pulse(PROGRESS[case](host.control))
            await host.wait(40)
        assert (await host.status()).busy
        await host.wait(30)
        assert (await host.status()) == StatusWord(False, False, True, Error.WATCHDOG)
        assert await host.read(Register.ERROR_UNIT) == Unit.POST

    Host(bench).run(script)


@scripted()
async def test_the_watchdog_also_ends_waiting_for_the_bus(host: Host) -> None:
    host.ctx.set(host.control.bus.quiet, 0)
    await host.write(Register.WATCHDOG, 30)
    for order in (START, RESET):
        await host.write(Register.CONTROL, order)
        await host.wait(40)
        assert (await host.status()) == StatusWord(False, False, True, Error.WATCHDOG)


@scripted()
async def test_without_a_watchdog_a_run_may_stand_still(host: Host) -> None:
    await begin(host)
    await host.wait(300)
    assert (await host.status()).busy


@scripted()
async def test_state_and_event_counters(host: Host) -> None:
    control, ctx = host.control, host.ctx
    unit = control.units[Unit.STORE]
    levels, bus = control.levels, control.bus
    for signal, value in ((unit.waiting, 5), (unit.in_flight, 3), (unit.cause, Cause.SUMS), (unit.missing, 6),
                          (control.fetch.cause, Cause.SPACE), (levels.weights, 77), (levels.parameters, 12),
                          (levels.tables, 2), (levels.used, 2), (levels.full, 1), (bus.reads, 9), (bus.writes, 255)):
        ctx.set(signal, value)
    await begin(host)
    for number, signal in enumerate((control.fetch.fetched, unit.retired, control.bus.read, control.bus.written)):
        for _ in range(number + 3):
            await host.pulse(signal)
    assert await host.read(Register.FETCHED) == 3
    assert await host.read(Register.RETIRED + 4 * Unit.STORE) == 4
    assert await host.read(Register.RETIRED + 4 * Unit.LOAD) == 0
    assert await host.read_wide(Register.BEATS_READ) == 5
    assert await host.read_wide(Register.BEATS_WRITTEN) == 6
    state = await host.read(Register.STATE + 4 * Unit.STORE)
    assert StateWord.decode(state) == StateWord(5, 3, Cause.SUMS, Units.ARRAY | Units.POST)
    assert StateWord.decode(await host.read(Register.FETCH_STATE)) == StateWord(0, 0, Cause.SPACE, Units(0))
    for register, value in ((Register.WEIGHTS_HELD, 77), (Register.PARAMETERS_HELD, 12), (Register.TABLES_HELD, 2),
                            (Register.HALVES, 2 | 1 << 8), (Register.BURSTS, 9 | 255 << 8)):
        assert await host.read(register) == value


@scripted()
async def test_events_say_what_counts_and_when_instructions_end(host: Host) -> None:
    control, ctx = host.control, host.ctx
    ctx.set(control.units[Unit.POST].cause, Cause.SUMS)
    assert not ctx.get(control.events.running)
    await begin(host)
    assert ctx.get(control.events.running)
    assert ctx.get(control.events.causes[Block.POST]) == Cause.SUMS
    for block, signal in ((Block.POST, control.units[Unit.POST].retired), (Block.FETCH, control.fetch.fetched)):
        assert ctx.get(control.events.retired) == 0
        await host.pulse(signal)
        assert ctx.get(control.events.retired) == 1 << block
        await host.wait(1)
