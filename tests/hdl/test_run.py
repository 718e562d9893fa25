"""The runs that the registers control."""

from collections.abc import Callable
from typing import Any

import pytest
from control_host import RESET, START, Host, begin, scripted

from arrayloom.hdl.control import Control
from arrayloom.isa.fields import Unit
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
