"""The registers over AXI4-Lite."""

import random

from amaranth.hdl import Module, Signal, Value
from control_host import REFUSED, START, Host, begin, scripted

from arrayloom.hdl.control import FIXED_IN_RUN, Control
from arrayloom.isa.fields import CORE_UNITS, Unit, Units
from arrayloom.isa.register_map import register_map
from arrayloom.isa.registers import (
    IDENTITY_VALUE,
    REGISTER_ADDRESS_BITS,
    REGISTER_BYTES,
    RESET_VALUES,
    VERSION_VALUE,
    Block,
    Cause,
    Register,
    StateWord,
    blocks_of,
    counter_address,
)


@scripted(stall=0.5)
async def test_constants_and_stored_registers(host: Host) -> None:
    assert await host.read(Register.IDENTITY) == IDENTITY_VALUE
    assert await host.read(Register.VERSION) == VERSION_VALUE
    assert await host.read(Register.CONFIG) == host.config.digest_word
    values = {register: random.Random(register).getrandbits(width) | 1 for register, width in WIDTHS.items()}
    for register, value in values.items():
        await host.write(register, value)
        assert not host.refused
    for register, value in values.items():
        assert await host.read(register) == value
    for low in (Register.PROGRAM, Register.BASE, Register.LIMIT, Register.WRITE_BASE, Register.WRITE_LIMIT):
        assert host.ctx.get(getattr(host.control, low.name.lower())) == values[low] | values[low + 4] << 32


WIDTHS: dict[int, int] = {
    Register.INTERRUPT_ENABLE: 1, Register.WATCHDOG: 32, Register.CYCLE_LIMIT: 32, Register.CYCLE_LIMIT_HIGH: 16,
    **dict.fromkeys((Register.PROGRAM, Register.BASE, Register.LIMIT, Register.WRITE_BASE, Register.WRITE_LIMIT), 32),
    **dict.fromkeys((Register.PROGRAM_HIGH, Register.BASE_HIGH, Register.LIMIT_HIGH, Register.WRITE_BASE_HIGH,
                     Register.WRITE_LIMIT_HIGH), 8)}


@scripted()
async def test_reset_values(host: Host) -> None:
    """Nothing may be read or written, and no run is endless, until software configures it."""
    for register in WIDTHS:
        name = Register(register).name
        value = RESET_VALUES.get(Register[name.removesuffix("_HIGH")], 0)
        assert await host.read(register) == (value >> 32 if name.endswith("_HIGH") else value & (1 << 32) - 1), name
    assert RESET_VALUES[Register.WATCHDOG] and RESET_VALUES[Register.CYCLE_LIMIT] >> 32


@scripted()
async def test_bits_that_a_register_does_not_have_are_refused(host: Host) -> None:
    for register, width in WIDTHS.items():
        if width < 32:
            before = await host.read(register)
            await host.write(register, 1 << width)
            assert host.refused and await host.read(register) == before
            await host.write(register, 1 << 31, strobe=0b0111)      # that byte is not written
            assert not host.refused


@scripted()
async def test_a_second_write_waits_for_the_answer_to_the_first(host: Host) -> None:
    axi, ctx = host.axi, host.ctx
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
    beyond = counter_address(Block.STORE, Cause.IDLE) + 0x80
    for address in (0x5C, 0x90, 0x98, 0xB0, 0xE0, 0xFC, 0x114, 0x3FC, beyond, 0xFFC, last + 4):
        await host.read(address)
        assert host.refused, hex(address)
    assert await host.read(last) == 0
    assert not host.refused


@scripted()
async def test_the_register_map_is_what_the_hardware_has(host: Host) -> None:
    """Every word of the register space: access rights, and the value after a reset."""
    entries = {entry.address: entry for entry in register_map()}
    for address in range(0, 1 << REGISTER_ADDRESS_BITS, REGISTER_BYTES):
        entry = entries.get(address)
        value = await host.read(address)
        assert host.refused == (entry is None or not entry.readable) or address == Register.CONTROL, hex(address)
        if entry and entry.writable and address != Register.CONTROL:
            assert value == entry.reset, entry.name
        await host.write(address, 0)
        assert host.refused == (entry is None or not entry.writable), hex(address)


@scripted(stall=0.2)
async def test_the_counters_of_each_unit_sum_to_the_cycles(host: Host) -> None:
    rng = random.Random(6)
    for length in (200, 77):
        host.counted = {block: [0] * len(Cause) for block in blocks_of(CORE_UNITS)}
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
        for block in blocks_of(CORE_UNITS):
            counters = [await host.read_wide(counter_address(block, cause)) for cause in Cause]
            assert counters == host.counted[block]
            assert sum(counters) == cycles


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
    for register in sorted(FIXED_IN_RUN):
        await host.write(register, 0x77)
        assert host.refused
    await host.write(Register.CONTROL, START)
    assert host.refused
    assert await host.read(Register.PROGRAM) == 0x1000
    assert host.pulses["start"] == 1


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
    for register, value in ((Register.WEIGHTS_HELD, 77), (Register.PARAMETERS_HELD, 12), (Register.LOOKUP_TABLES_HELD, 2),
                            (Register.ACCUMULATOR_BANKS, 2 | 1 << 8), (Register.BURSTS, 9 | 255 << 8)):
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


class NearlyFull(Control):
    """Its counters of pulses and cycles begin with a nearly full lower half."""

    def _count(self, m: Module, name: str, width: int, enable: Value) -> Signal:
        count = Signal(width, name=name)
        with m.If(self.run.clear):
            m.d.sync += count.eq((1 << 32) - 60)
        with m.Elif(enable):
            m.d.sync += count.eq(count + 1)
        return count


@scripted(control=NearlyFull)
async def test_both_halves_of_a_counter_are_of_one_moment(host: Host) -> None:
    await begin(host)
    low = await host.read(Register.CYCLES)
    assert low > 1 << 31
    await host.wait(100)
    assert await host.read(Register.CYCLES_HIGH) == 0
    assert await host.read_wide(Register.CYCLES) > 1 << 32
    for other in (Register.IDENTITY, Register.PROGRAM_HIGH):        # between the reads of both halves, they change neither
        await host.read(Register.CYCLES)
        await host.read(other)
        assert await host.read(Register.CYCLES_HIGH) == 1
