"""The control and status registers."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.utils import exact_log2

from arrayloom.hdl.axi import bus_status_signature
from arrayloom.hdl.axi_lite import register_port_signature
from arrayloom.hdl.counters import CauseCounters
from arrayloom.hdl.fetch import control_signature
from arrayloom.hdl.interfaces import events_signature, levels_signature
from arrayloom.hdl.issue import status_signature
from arrayloom.hdl.pipeline import flag_line
from arrayloom.hdl.run import Run
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config
from arrayloom.isa.registers import (
    BLOCK_SLOTS,
    CAUSE_BITS,
    CYCLE_BITS,
    IDENTITY_VALUE,
    REGISTER_BITS,
    REGISTER_BYTES,
    RESET_VALUES,
    VERSION_VALUE,
    Block,
    Cause,
    Register,
    Status,
    blocks_of,
    counter_address,
)
from arrayloom.isa.registers import Control as ControlBit


def _counter_bit(block: int, cause: int) -> int:
    return exact_log2((counter_address(Block(block), Cause(cause)) - Register.COUNTERS) // REGISTER_BYTES)


# Position of block and cause in the number of a counter's register; the upper bits are the same for all.
CAUSE = slice(_counter_bit(0, 1), _counter_bit(0, 1) + CAUSE_BITS)
BLOCK = slice(_counter_bit(1, 0), _counter_bit(1, 0) + exact_log2(BLOCK_SLOTS))
COUNTED = slice(BLOCK.stop, None)
GROUP_WORDS = 8     # registers multiplexed in one cycle
ADDRESSES = (Register.PROGRAM, Register.BASE, Register.LIMIT, Register.WRITE_BASE, Register.WRITE_LIMIT)
WIDE = dict.fromkeys(ADDRESSES, ADDRESS_BITS) | {Register.CYCLE_LIMIT: CYCLE_BITS}    # in two registers
NARROW = {Register.INTERRUPT_ENABLE: 1, Register.WATCHDOG: 32}
COUNTED_HERE = (Register.CYCLES, Register.BEATS_READ, Register.BEATS_WRITTEN)   # 64-bit, like those of causes
FIXED_IN_RUN = {high for low in ADDRESSES for high in (low, low + REGISTER_BYTES)}


class Control(Component):
    """The registers of ``arrayloom.isa.registers``, the counters, and the run they control.

    Refused with SLVERR: a write to an address without a writable register, of bits that the register does not have, or of
    a memory address during a run; a START during a run or while the bus is stuck; and a read at an address without a
    register. START waits until the bus is quiet. The counters of each block sum to CYCLES: both count from the first cycle
    of FETCH to the run's last. Reading the lower half of a counter latches its upper half for the next read, so that
    both are consistent.

    Parameters
    ----------
    config : Config
        ``digest`` is in the register CONFIG; depths of FIFOs size ``levels``.

    Members
    -------
    port : In(register_port_signature())
        The host, through ``arrayloom.hdl.axi_lite.AxiLiteSlave``.
    irq : Out(1)
        A run has ended, and interrupts are enabled.
    program : Out(ADDRESS_BITS)
        Byte address of the first instruction.
    base : Out(ADDRESS_BITS)
        Byte address that instructions' memory addresses are added to, and the first that may be read.
    limit : Out(ADDRESS_BITS)
        The end of the readable range.
    write_base, write_limit : Out(ADDRESS_BITS)
        The first byte that may be written, and the end.
    halt : Out(1)
        No unit may be offered an instruction; see ``arrayloom.hdl.run.Run`` for this and the next two.
    clear : Out(1)
        Resets FETCH and the weight FIFO.
    resets : Out(units)
        Resets each unit with its queue.
    units : In(arrayloom.hdl.issue.status_signature()) of each unit
    fetch : In(arrayloom.hdl.fetch.control_signature())
    bus : In(bus_status_signature())
    load_error : In(1)
        The bus answered a read of LOAD with an error.
    store_error : In(1)
        The bus answered a write of STORE with an error.
    load_outside, store_outside : In(1)
        LOAD or STORE would access memory outside its window.
    load_address, store_address : In(ADDRESS_BITS)
        The address, with these.
    data_left : In(1)
        A FIFO or an accumulator bank is not empty.
    levels : In(levels_signature(config))
    events : Out(events_signature())
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "port": In(register_port_signature()), "irq": Out(1),
            **{name: Out(ADDRESS_BITS) for name in ("program", "base", "limit", "write_base", "write_limit")},
            "halt": Out(1), "clear": Out(1),
            "resets": Out(config.unit_slots),
            "units": In(status_signature(config.unit_slots)).array(config.unit_slots),
            "fetch": In(control_signature()),
            "bus": In(bus_status_signature()),
            "load_error": In(1), "store_error": In(1), "data_left": In(1), "load_outside": In(1), "store_outside": In(1),
            "load_address": In(ADDRESS_BITS), "store_address": In(ADDRESS_BITS),
            "levels": In(levels_signature(config)), "events": Out(events_signature()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.run = self.run = Run(self.config.unit_slots)
        self._wire_run(m)
        self._keep(m)
        self.pending = Signal()
        self.begins = Signal()  # an accepted write of START
        self._interrupt(m)
        self._report(m)
        self._write(m)
        self._read(m, self._plain(m), self._counters(m))
        return m

    def _wire_run(self, m: Module) -> None:
        run = self.run
        connect(m, run.fetch, flipped(self.fetch))
        connect(m, run.bus, flipped(self.bus))
        for ours, theirs in zip(self.units, run.units, strict=True):
            connect(m, theirs, flipped(ours))
        m.d.comb += [
            run.load_error.eq(self.load_error), run.store_error.eq(self.store_error), run.data_left.eq(self.data_left),
            run.load_outside.eq(self.load_outside), run.store_outside.eq(self.store_outside),
            run.load_address.eq(self.load_address), run.store_address.eq(self.store_address),
            self.clear.eq(run.clear), self.resets.eq(run.resets), self.halt.eq(run.halt),
        ]

    def _keep(self, m: Module) -> None:
        """The writable registers: as a whole, and their parts by address."""
        self.stored = {register: Signal(width, name=register.name.lower(), init=RESET_VALUES.get(register, 0))
                       for register, width in (NARROW | WIDE).items()}
        self.parts = {int(register): self.stored[register] for register in NARROW} | {
            register + REGISTER_BYTES * half: self.stored[register][half * REGISTER_BITS:(half + 1) * REGISTER_BITS]
            for register in WIDE for half in range(2)}
        m.d.comb += [getattr(self, register.name.lower()).eq(self.stored[register]) for register in ADDRESSES]
        self.over = Signal()
        m.d.comb += [self.run.watchdog.eq(self.stored[Register.WATCHDOG]), self.run.over.eq(self.over)]

    def _interrupt(self, m: Module) -> None:
        port = self.port
        m.d.comb += self.irq.eq(self.pending & self.stored[Register.INTERRUPT_ENABLE])
        with m.If(self.run.ended):
            m.d.sync += self.pending.eq(1)
        with m.Elif(self._written(Register.INTERRUPT) & port.write_strobe[0] & port.write_data[0] | self.begins):
            m.d.sync += self.pending.eq(0)

    def _report(self, m: Module) -> None:
        events = self.events
        units = self.config.units
        self.causes = {Block(unit): self.units[unit].cause for unit in units}
        self.causes[Block.FETCH] = self.fetch.cause
        # a cause lags by one cycle, a pulse does not
        m.d.sync += [events.retired[unit].eq(self.units[unit].retired) for unit in units]
        m.d.sync += events.retired[Block.FETCH].eq(self.fetch.fetched)
        m.d.comb += events.running.eq(self.run.running)
        m.d.comb += [events.causes[block].eq(cause) for block, cause in self.causes.items()]

    def _written(self, register: Register) -> Value:
        return self.port.write & (self.port.write_word == register >> 2)

    def _write(self, m: Module) -> None:
        port, run = self.port, self.run
        orders = Mux(port.write_strobe[0], port.write_data[:8], 0)
        control = self._written(Register.CONTROL)
        start = control & orders[ControlBit.START] & ~orders[ControlBit.RESET]
        # the next write comes at least two cycles later, when the run has seen this one
        m.d.sync += [run.stop.eq(control & orders[ControlBit.RESET]), run.begin.eq(self.begins)]
        refuses = run.busy | run.stuck
        m.d.comb += [self.begins.eq(start & ~refuses), port.write_error.eq(1)]
        with m.Switch(port.write_word):
            with m.Case(Register.CONTROL >> 2):
                m.d.comb += port.write_error.eq(start & refuses)
            with m.Case(Register.INTERRUPT >> 2):
                m.d.comb += port.write_error.eq(0)
            for address, part in self.parts.items():
                with m.Case(address >> 2):
                    refused = self._excess(len(part)) | (run.busy if address in FIXED_IN_RUN else 0)
                    m.d.comb += port.write_error.eq(refused)
                    with m.If(port.write & ~refused):
                        self._store(m, part)

    def _excess(self, width: int) -> Value:
        """Whether a write sets bits that a register of ``width`` bits does not have."""
        strobes = Cat(strobe.replicate(8) for strobe in self.port.write_strobe)
        return (self.port.write_data & strobes)[width:].any()

    def _store(self, m: Module, signal: Value) -> None:
        for byte in range(0, len(signal), 8):
            part = signal[byte:byte + 8]
            with m.If(self.port.write_strobe[byte // 8]):
                m.d.sync += part.eq(self.port.write_data[byte:byte + len(part)])

    def _plain(self, m: Module) -> dict[int, Value]:
        """Every register but the counters of causes, as byte address to value of up to 64 bits."""
        run, fetch, bus, levels = self.run, self.fetch, self.bus, self.levels
        cycles, limit = self._count(m, "cycles", CYCLE_BITS, run.running), self.stored[Register.CYCLE_LIMIT]
        m.d.sync += self.over.eq((cycles >= limit) & (limit != 0))
        values: dict[int, Value] = {
            Register.IDENTITY: Const(IDENTITY_VALUE, 32),
            Register.VERSION: Const(VERSION_VALUE, 32),
            Register.CONFIG: Const(self.config.digest_word, 32),
            Register.CONTROL: Const(0, 32),
            Register.STATUS: Cat(run.busy, run.done, run.failed, run.stuck, Const(0, Status.ERROR - Status.BUS_STUCK - 1),
                                 run.error),
            Register.INTERRUPT: self.pending,
            Register.CYCLES: cycles,
            Register.ERROR_UNIT: run.error_unit,
            Register.ERROR_ADDRESS: run.error_address,
            Register.FETCHED: self._count_pulses(m, "fetched", REGISTER_BITS, fetch.fetched),
            Register.BEATS_READ: self._count_pulses(m, "beats_read", CYCLE_BITS, bus.read),
            Register.BEATS_WRITTEN: self._count_pulses(m, "beats_written", CYCLE_BITS, bus.written),
            Register.FETCH_STATE: _state(0, 0, fetch.cause, 0),
            Register.WEIGHTS_HELD: levels.weights,
            Register.PARAMETERS_HELD: levels.parameters,
            Register.LOOKUP_TABLES_HELD: levels.tables,
            Register.ACCUMULATOR_BANKS: _bytes(*self._banks()),
            Register.BURSTS: _bytes(bus.reads, bus.writes),
        }
        for number in map(int, self.config.units):
            unit = self.units[number]
            retired = self._count_pulses(m, f"retired_{number}", REGISTER_BITS, unit.retired)
            values |= {
                Register.RETIRED + 4 * number: retired,
                Register.STATE + 4 * number: _state(unit.waiting, unit.in_flight, unit.cause, unit.missing),
                Register.TOKENS + 8 * number: Cat(unit.tokens.as_value(), Const(0, 1)),    # 64 64 bits
            }
        return values | {int(register): signal for register, signal in self.stored.items()}

    def _banks(self) -> list[Value]:
        levels = self.levels
        optional = [levels.optional_used, levels.optional_full] if self.config.has_sums else []
        return [levels.used, levels.full, *optional]

    def _count(self, m: Module, name: str, width: int, enable: Value) -> Signal:
        count = Signal(width, name=name)
        with m.If(self.run.clear):
            m.d.sync += count.eq(0)
        with m.Elif(enable):
            m.d.sync += count.eq(count + 1)
        return count

    def _count_pulses(self, m: Module, name: str, width: int, pulse: Value) -> Signal:
        """Counts a pulse of another unit, one cycle late."""
        return self._count(m, name, width, flag_line(m, pulse & self.run.running, 1)[1])

    def _counters(self, m: Module) -> dict[Block, tuple[Value, Value]]:
        """For each block, its counter of the selected cause, and whether the counter is not zero."""
        values = {}
        for block in blocks_of(self.config.units):
            m.submodules[f"counters_{block.name.lower()}"] = counters = CauseCounters()
            m.d.comb += [
                counters.cause.eq(self.causes[block]), counters.enable.eq(self.run.running),
                counters.clear.eq(self.run.clear), counters.select.eq(self.port.read_word[CAUSE]),
            ]
            values[block] = counters.value, counters.counted
        return values

    def _read(self, m: Module, values: dict[int, Value], counters: dict[Block, tuple[Value, Value]]) -> None:
        """Reads a register in two cycles: first the value of each block and register group, then the selection."""
        port, word = self.port, self.port.read_word
        words: dict[int, Value] = {}    # by number of the register
        uppers: dict[int, Value] = {}   # upper halves, by the register with the lower one
        for address, value in values.items():
            words[address >> 2] = value[:REGISTER_BITS]
            if len(value) > REGISTER_BITS:
                (uppers if address in COUNTED_HERE else words)[(address >> 2) + (address not in COUNTED_HERE)] = (
                    value[REGISTER_BITS:])
        groups = max(words) // GROUP_WORDS + 1
        found = Signal(data.ArrayLayout(REGISTER_BITS, BLOCK_SLOTS + groups), reset_less=True)
        upper = Signal(data.ArrayLayout(REGISTER_BITS, BLOCK_SLOTS + groups), reset_less=True)
        number, counted = Signal(range(BLOCK_SLOTS + groups), reset_less=True), Signal(BLOCK_SLOTS + groups, reset_less=True)
        known, counter = Signal(reset_less=True), word[COUNTED] == Register.COUNTERS >> 2 + COUNTED.start
        high, wide = Signal(reset_less=True), Signal(reset_less=True)
        blocks = Cat(counters[Block(block)][1] if block in counters else 0 for block in range(BLOCK_SLOTS))
        low = Cat(Const(0, 1), word[1:])    # the register of the lower half, if this one is the upper
        with m.If(port.read):
            m.d.sync += counted.eq(Cat(blocks, ~Const(0, groups)))
            for block, (value, _) in counters.items():
                m.d.sync += [found[block].eq(value[:REGISTER_BITS]), upper[block].eq(value[REGISTER_BITS:])]
            for group in range(groups):
                for target, given in ((found, words), (upper, uppers)):
                    members = [given.get(group * GROUP_WORDS + place, Const(0)) for place in range(GROUP_WORDS)]
                    m.d.sync += target[BLOCK_SLOTS + group].eq(Array(members)[word[:exact_log2(GROUP_WORDS)]])
            with m.If(counter):
                exists = Cat(word[BLOCK] == block for block in counters).any()
                m.d.sync += [number.eq(word[BLOCK]), known.eq(exists & (word[CAUSE] < len(Cause))),
                             high.eq(word[0]), wide.eq(~word[0])]
            with m.Else():
                is_upper, is_lower = (Cat(place == each for each in uppers).any() for place in (low, word))
                m.d.sync += [number.eq(BLOCK_SLOTS + (word >> exact_log2(GROUP_WORDS))), wide.eq(is_lower),
                             high.eq(word[0] & is_upper),
                             known.eq(Cat(word == each for each in words).any() | (word[0] & is_upper))]
        kept, there = Signal(REGISTER_BITS, reset_less=True), counted.bit_select(number, 1)
        read = Signal()
        m.d.sync += read.eq(port.read)
        with m.If(read & wide):
            m.d.sync += kept.eq(Mux(there, Array(upper)[number], 0))
        m.d.comb += [port.read_data.eq(Mux(high, kept, Mux(there, Array(found)[number], 0))), port.read_error.eq(~known)]


def _bytes(*values: Value) -> Value:
    """Packs each value into a byte."""
    return Cat(Cat(value, Const(0, 8 - len(value))) for value in values)


def _state(waiting: ValueLike, in_flight: ValueLike, cause: ValueLike, missing: ValueLike) -> Value:
    """``arrayloom.isa.registers.StateWord``."""
    return _bytes(*(Value.cast(value) for value in (waiting, in_flight, cause, missing)))
