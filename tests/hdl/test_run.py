"""Runs under the control of the registers."""

from collections.abc import Callable
from typing import Any

import pytest
from control_host import RESET, START, Host, begin, scripted

from arrayloom.hdl.control import Control
from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.isa.registers import TOKEN_BITS, Block, Cause, Error, Register, StatusWord


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
async def test_start_waits_until_the_bus_is_quiet(host: Host) -> None:
    host.ctx.set(host.control.bus.quiet, 0)
    await begin(host)
    await host.wait(20)
    assert host.pulses == {"start": 0, "clear": 0}
    assert host.ctx.get(host.control.bus.halt)
    assert (await host.status()).busy
    host.ctx.set(host.control.bus.quiet, 1)
    await host.wait(4 + len(CORE_UNITS))
    assert host.pulses == {"start": 1, "clear": 1}
    assert not host.ctx.get(host.control.bus.halt)


@scripted()
async def test_all_units_are_in_reset_at_once_before_a_run(host: Host) -> None:
    control, ctx = host.control, host.ctx
    seen: list[int] = []
    for signal, value in ((host.axi.awaddr, Register.CONTROL), (host.axi.awvalid, 1), (host.axi.wdata, START),
                          (host.axi.wstrb, 1), (host.axi.wvalid, 1)):
        ctx.set(signal, value)
    await ctx.tick()
    ctx.set(host.axi.awvalid, 0)
    ctx.set(host.axi.wvalid, 0)
    while not ctx.get(control.events.running):
        seen.append(ctx.get(control.clear) | ctx.get(control.resets) << 1)
        await ctx.tick()
    assert ctx.get(control.clear) | ctx.get(control.resets) == 0
    assert seen[-1] == (1 << 1 + len(CORE_UNITS)) - 1
    assert [value for value in seen if value] == [(2 << number) - 1 for number in range(1 + len(CORE_UNITS))]


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
    "damage": (lambda c: c.fetch.damaged, Error.DAMAGED_INSTRUCTION, Block.FETCH),
    "read outside": (lambda c: c.load_outside, Error.READ_OUTSIDE, Unit.LOAD),
    "write outside": (lambda c: c.store_outside, Error.WRITE_OUTSIDE, Unit.STORE),
    "program outside": (lambda c: c.fetch.outside, Error.READ_OUTSIDE, Block.FETCH),
    "broken bus": (lambda c: c.bus.broken, Error.BUS_BROKEN, Block.FETCH),
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
    await host.wait(5)
    assert (await host.status()) == StatusWord(False, False, True, Error.TOKENS_LEFT)
    assert await host.read(Register.ERROR_UNIT) == Unit.POST
    assert await host.read(Register.TOKENS + 8 * Unit.POST) == 1 << TOKEN_BITS * Unit.LOAD


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
async def test_a_run_fails_only_when_its_bus_is_quiet(host: Host) -> None:
    await host.write(Register.INTERRUPT_ENABLE, 1)
    await begin(host)
    host.ctx.set(host.control.bus.quiet, 0)
    await host.pulse(host.control.load_error)
    await host.wait(40)
    assert (await host.status()) == StatusWord(True, False, False, Error.BUS_READ)
    assert not host.ctx.get(host.control.irq) and host.ctx.get(host.control.halt)
    cycles = await host.read_wide(Register.CYCLES)
    await host.write(Register.CONTROL, START)
    assert host.refused
    host.ctx.set(host.control.bus.quiet, 1)
    await host.wait(3)
    assert (await host.status()) == StatusWord(False, False, True, Error.BUS_READ)
    assert host.ctx.get(host.control.irq) and await host.read_wide(Register.CYCLES) == cycles


@pytest.mark.parametrize("orders", [[START], [START, RESET]], ids=["begins", "is reset"])
def test_a_bus_that_never_becomes_quiet_is_stuck_until_reset(bench: Any, orders: list[int]) -> None:
    async def script(host: Host) -> None:
        host.ctx.set(host.control.bus.quiet, 0)
        await host.write(Register.WATCHDOG, 30)
        await host.write(Register.INTERRUPT_ENABLE, 1)
        for order in orders:
            await host.write(Register.CONTROL, order)
        await host.wait(40)
        assert (await host.status()) == StatusWord(False, False, True, Error.BUS_STUCK, bus_stuck=True)
        assert host.ctx.get(host.control.irq)
        host.ctx.set(host.control.bus.quiet, 1)
        await host.write(Register.CONTROL, RESET)
        await host.wait(5)
        await host.write(Register.CONTROL, START)
        assert host.refused
        assert (await host.status()) == StatusWord(False, False, False, Error.NONE, bus_stuck=True)

    Host(bench).run(script)


@pytest.mark.parametrize("source", ["load_error", "watchdog"])
def test_a_failed_run_waits_a_second_time_for_the_bus(bench: Any, source: str) -> None:
    """The second wait has its own time limit, whatever ended the run."""
    async def script(host: Host) -> None:
        await host.write(Register.WATCHDOG, 100)
        await begin(host)
        host.ctx.set(host.control.bus.quiet, 0)
        if source == "watchdog":
            await host.wait(102)
        else:
            await host.pulse(host.control.load_error)
        await host.wait(60)
        assert (await host.status()).busy
        await host.pulse(host.control.bus.written)
        await host.wait(70)
        assert (await host.status()).busy
        await host.wait(40)
        assert (await host.status()) == StatusWord(False, False, True, Error.BUS_STUCK, bus_stuck=True)

    Host(bench).run(script)


@scripted()
async def test_a_run_ends_at_its_limit_of_cycles(host: Host) -> None:
    """Work is progress, so the watchdog would never end the run."""
    await host.write(Register.CYCLE_LIMIT, 200)
    await host.write(Register.CYCLE_LIMIT_HIGH, 0)
    await begin(host)
    host.ctx.set(host.control.units[Unit.POST].cause, Cause.COMPUTING)
    host.ctx.set(host.control.units[Unit.POST].idle, 0)
    await host.wait(150)
    assert (await host.status()).busy
    await host.wait(60)
    assert (await host.status()) == StatusWord(False, False, True, Error.CYCLE_LIMIT)
    assert await host.read(Register.ERROR_UNIT) == Unit.POST
    assert 200 <= await host.read_wide(Register.CYCLES) <= 204


@pytest.mark.parametrize(("present", "place"), [("load_outside", "load_address"), ("store_outside", "store_address")])
def test_the_address_outside_is_kept(bench: Any, present: str, place: str) -> None:
    async def script(host: Host) -> None:
        await begin(host)
        host.ctx.set(getattr(host.control, place), 0x87_6543_2100)
        await host.pulse(getattr(host.control, present))
        host.ctx.set(getattr(host.control, place), 5)
        await host.wait(5)
        assert await host.read_wide(Register.ERROR_ADDRESS) == 0x87_6543_2100
        await begin(host)
        assert await host.read_wide(Register.ERROR_ADDRESS) == 0

    Host(bench).run(script)


@pytest.mark.parametrize("before", range(8))
def test_an_interrupt_is_not_lost_while_an_earlier_one_is_cleared(bench: Any, before: int) -> None:
    async def script(host: Host) -> None:
        await host.write(Register.INTERRUPT_ENABLE, 1)
        await begin(host)
        axi, ctx = host.axi, host.ctx
        for signal, value in ((axi.awaddr, Register.INTERRUPT), (axi.wdata, 1), (axi.wstrb, 15), (axi.bready, 1),
                              (axi.awvalid, 1), (axi.wvalid, 1)):
            ctx.set(signal, value)
        for cycle in range(12):
            ctx.set(host.control.fetch.finished, cycle == before)
            await ctx.tick()
            ctx.set(axi.awvalid, 0)
            ctx.set(axi.wvalid, 0)
        assert (await host.status()).done
        ended, cleared = before + 2, 1     # the cycle of the end, and of the write
        assert await host.read(Register.INTERRUPT) == (ended >= cleared)

    Host(bench).run(script)


@scripted()
async def test_without_a_watchdog_a_run_may_stand_still(host: Host) -> None:
    await host.write(Register.WATCHDOG, 0)
    await begin(host)
    await host.wait(300)
    assert (await host.status()).busy


@scripted()
async def test_start_together_with_reset_only_ends_a_run(host: Host) -> None:
    await begin(host)
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    await host.write(Register.CONTROL, START | RESET)
    assert not host.refused and await host.read(Register.INTERRUPT) == 1    # a START would clear it
    await begin(host)
    await host.write(Register.CONTROL, START | RESET)
    assert not host.refused
    await host.wait(5)
    assert await host.status() == StatusWord(False, False, False, Error.NONE)
    assert host.pulses["start"] == 2


@scripted()
async def test_an_interrupt_is_cleared_only_by_a_byte_that_is_written(host: Host) -> None:
    await begin(host)
    await host.pulse(host.control.fetch.finished)
    await host.wait(3)
    await host.write(Register.INTERRUPT, 1, strobe=0b1110)
    assert await host.read(Register.INTERRUPT) == 1
    await host.write(Register.INTERRUPT, 1, strobe=0b0001)
    assert await host.read(Register.INTERRUPT) == 0


ORDER = ("damage", "illegal in a unit", "write outside", "read outside", "program outside", "read of load", "read of fetch",
         "write", "broken bus", "overflow")


@pytest.mark.parametrize("place", range(len(ORDER) - 1))
def test_of_two_errors_at_once_the_more_telling_one_is_kept(bench: Any, place: int) -> None:
    (first, error, unit), (second, *_) = SOURCES[ORDER[place]], SOURCES[ORDER[place + 1]]

    async def script(host: Host) -> None:
        await begin(host)
        host.ctx.set(second(host.control), 1)
        await host.pulse(first(host.control))
        host.ctx.set(second(host.control), 0)
        await host.wait(3)
        assert (await host.status()).error is error
        assert await host.read(Register.ERROR_UNIT) == unit

    Host(bench).run(script)


@scripted()
async def test_an_error_just_before_a_run_does_not_end_it(host: Host) -> None:
    control, ctx = host.control, host.ctx
    await host.write(Register.CONTROL, START)
    for _ in range(20):
        ctx.set(control.bus.broken, not ctx.get(control.events.running))
        await host.wait(1)
    ctx.set(control.bus.broken, 0)
    await host.wait(3)
    assert await host.status() == StatusWord(True, False, False, Error.NONE)


@scripted()
async def test_a_bus_counts_as_quiet_only_while_it_is_halted(host: Host) -> None:
    """A burst that begins in the cycle of the halt must first end."""
    control, ctx = host.control, host.ctx
    await begin(host)
    await host.write(Register.CONTROL, RESET)
    await host.wait(5)
    assert not (await host.status()).busy
    await begin(host)
    axi = host.axi
    for signal, value in ((axi.awaddr, Register.CONTROL), (axi.wdata, RESET), (axi.wstrb, 15), (axi.bready, 1),
                          (axi.awvalid, 1), (axi.wvalid, 1)):
        ctx.set(signal, value)
    for cycle in range(20):
        ctx.set(control.bus.quiet, not ctx.get(control.halt))
        await host.wait(1)
        if cycle == 0:
            ctx.set(axi.awvalid, 0)
            ctx.set(axi.wvalid, 0)
    assert (await host.status()).busy
    ctx.set(control.bus.quiet, 1)
    await host.wait(3)
    assert not (await host.status()).busy


@scripted()
async def test_without_a_limit_of_cycles_a_run_goes_on(host: Host) -> None:
    await host.write(Register.CYCLE_LIMIT_HIGH, 0)
    assert await host.read_wide(Register.CYCLE_LIMIT) == 0
    await begin(host)
    await host.wait(100)
    assert (await host.status()).busy
