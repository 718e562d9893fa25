"""The control and status registers."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.utils import ceil_log2, exact_log2

from hdl.axi import ADDRESS_BITS, bus_status_signature
from hdl.axi_lite import AxiLiteSlave
from hdl.counters import COUNTER_BITS, CauseCounters
from hdl.fetch import control_signature
from hdl.interfaces import CAUSE_BITS, axi_lite_signature
from hdl.issue import status_signature
from hdl.run import Run
from isa.config import Config
from isa.fields import Unit
from isa.registers import IDENTITY_VALUE, VERSION_VALUE, Cause, Register, counter_address
from isa.registers import Control as ControlBit

REGISTER_BITS = 32
WORD_BYTES = 4


def _counter_bit(unit, cause):
    return exact_log2((counter_address(Unit(unit), Cause(cause)) - Register.COUNTERS) // WORD_BYTES)


# Where unit and cause lie in the number of a counter's register; what lies above is the same in all.
CAUSE = slice(_counter_bit(0, 1), _counter_bit(0, 1) + CAUSE_BITS)
UNIT = slice(_counter_bit(1, 0), _counter_bit(1, 0) + ceil_log2(len(Unit)))
GROUP = slice(UNIT.stop, None)
STORED = {Register.INTERRUPT_ENABLE: 1, Register.WATCHDOG: 32, Register.PROGRAM: 32, Register.BASE: 32,
          Register.PROGRAM_HIGH: ADDRESS_BITS - 32, Register.BASE_HIGH: ADDRESS_BITS - 32}
FIXED_IN_RUN = (Register.PROGRAM, Register.PROGRAM_HIGH, Register.BASE, Register.BASE_HIGH)


class Control(Component):
    """The registers of ``isa.registers`` on AXI4-Lite, the counters, and the run they control.

    A write to an address that has no writable register, to PROGRAM or BASE during a run, and a START during a run are
    refused with SLVERR, as are reads where there is no register. PROGRAM and BASE have 40 bits. START waits until the
    bus is quiet. The counters of each unit sum to CYCLES: both count from the first cycle of FETCH to the run's last.

    Members
    -------
    axi : Out(axi_lite_signature)
    irq : Out(1)
    program, base : Out(40)
    halt : Out(1)
        No unit may start an instruction.
    clear : Out(1)
        Resets every unit with its queue, and FETCH.
    units : In(hdl.issue.status_signature) of each
    fetch : In(hdl.fetch.control_signature)
    bus : In(hdl.axi.bus_status_signature)
    load_error, store_error : In(1)
        The bus answered with an error.
    data_left : In(1)
        A FIFO or an accumulator half is not empty.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "axi": Out(axi_lite_signature()), "irq": Out(1),
            "program": Out(ADDRESS_BITS), "base": Out(ADDRESS_BITS), "halt": Out(1), "clear": Out(1),
            "units": In(status_signature()).array(len(Unit)),
            "fetch": In(control_signature()),
            "bus": In(bus_status_signature()),
            "load_error": In(1), "store_error": In(1), "data_left": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.run = self.run = Run()
        m.submodules.slave = slave = AxiLiteSlave()
        self.port = slave.port
        connect(m, slave.axi, flipped(self.axi))
        self._wire_run(m)
        self.stored = {register: Signal(width, name=register.name.lower()) for register, width in STORED.items()}
        stored = self.stored
        m.d.comb += [
            self.program.eq(Cat(stored[Register.PROGRAM], stored[Register.PROGRAM_HIGH])),
            self.base.eq(Cat(stored[Register.BASE], stored[Register.BASE_HIGH])),
            self.run.watchdog.eq(stored[Register.WATCHDOG]),
        ]
        self.pending = Signal()
        self._interrupt(m)
        self._write(m)
        self._read(m, self._plain(m), self._counters(m))
        return m

    def _wire_run(self, m):
        run = self.run
        connect(m, run.fetch, flipped(self.fetch))
        connect(m, run.bus, flipped(self.bus))
        for ours, theirs in zip(self.units, run.units, strict=True):
            connect(m, theirs, flipped(ours))
        m.d.comb += [
            run.load_error.eq(self.load_error), run.store_error.eq(self.store_error), run.data_left.eq(self.data_left),
            self.clear.eq(run.clear), self.halt.eq(~run.running),
        ]

    def _interrupt(self, m):
        port = self.port
        m.d.comb += self.irq.eq(self.pending & self.stored[Register.INTERRUPT_ENABLE])
        with m.If(self.run.ended):
            m.d.sync += self.pending.eq(1)
        with m.Elif(self._written(Register.INTERRUPT) & port.write_strobe[0] & port.write_data[0] | self.run.begin):
            m.d.sync += self.pending.eq(0)

    def _written(self, register):
        return self.port.write & (self.port.write_word == register >> 2)

    def _write(self, m):
        port, run = self.port, self.run
        orders = Mux(port.write_strobe[0], port.write_data[:8], 0)
        control = self._written(Register.CONTROL)
        start = control & orders[ControlBit.START] & ~orders[ControlBit.RESET]
        m.d.comb += [
            run.stop.eq(control & orders[ControlBit.RESET]),
            run.begin.eq(start & ~run.busy),
            port.write_error.eq(1),
        ]
        with m.Switch(port.write_word):
            with m.Case(Register.CONTROL >> 2):
                m.d.comb += port.write_error.eq(start & run.busy)
            with m.Case(Register.INTERRUPT >> 2):
                m.d.comb += port.write_error.eq(0)
            for register, signal in self.stored.items():
                with m.Case(register >> 2):
                    refused = run.busy if register in FIXED_IN_RUN else Const(0)
                    m.d.comb += port.write_error.eq(refused)
                    with m.If(port.write & ~refused):
                        self._store(m, signal)

    def _store(self, m, signal):
        for byte in range(0, len(signal), 8):
            part = signal[byte:byte + 8]
            with m.If(self.port.write_strobe[byte // 8]):
                m.d.sync += part.eq(self.port.write_data[byte:byte + len(part)])

    def _plain(self, m):
        """Every register but the counters of causes, as byte address to value of up to 64 bits."""
        run, fetch, bus = self.run, self.fetch, self.bus
        values = {
            Register.IDENTITY: Const(IDENTITY_VALUE, 32),
            Register.VERSION: Const(VERSION_VALUE, 32),
            Register.CONFIG: Const(int(self.config.digest[:8], 16), 32),
            Register.CONTROL: Const(0, 32),
            Register.STATUS: Cat(run.busy, run.done, run.failed, Const(0, 5), run.error),
            Register.INTERRUPT: self.pending,
            Register.CYCLES: self._count(m, "cycles", COUNTER_BITS, run.running),
            Register.ERROR_UNIT: run.error_unit,
            Register.FETCHED: self._count(m, "fetched", REGISTER_BITS, fetch.fetched & run.running),
            Register.BEATS_READ: self._count(m, "beats_read", COUNTER_BITS, bus.read & run.running),
            Register.BEATS_WRITTEN: self._count(m, "beats_written", COUNTER_BITS, bus.written & run.running),
        }
        for number, unit in enumerate(self.units):
            retired = self._count(m, f"retired_{number}", REGISTER_BITS, unit.retired & run.running)
            values |= {
                Register.RETIRED + 4 * number: retired,
                Register.STATE + 4 * number: Cat(unit.waiting, unit.in_flight, unit.cause),
                Register.TOKENS + 4 * number: unit.tokens.as_value(),
            }
        return values | self.stored

    def _count(self, m, name, width, enable):
        count = Signal(width, name=name)
        with m.If(self.run.clear):
            m.d.sync += count.eq(0)
        with m.Elif(enable):
            m.d.sync += count.eq(count + 1)
        return count

    def _counters(self, m):
        """The counters of each unit; they answer to one cause at a time."""
        values = []
        for unit in Unit:
            m.submodules[f"counters_{unit.name.lower()}"] = counters = CauseCounters()
            m.d.comb += [
                counters.cause.eq(self.units[unit].cause), counters.enable.eq(self.run.running),
                counters.clear.eq(self.run.clear), counters.select.eq(self.port.read_word[CAUSE]),
            ]
            values.append(counters.value)
        return values

    def _read(self, m, values, counters):
        """In one cycle each group of registers finds its value, in the next the group is chosen."""
        port = self.port
        words = {}
        for address, value in values.items():
            words[address >> 2] = value[:REGISTER_BITS]
            if len(value) > REGISTER_BITS:
                words[(address >> 2) + 1] = value[REGISTER_BITS:]
        plain, known = Signal(REGISTER_BITS, reset_less=True), Signal()
        counts = Signal(data.ArrayLayout(COUNTER_BITS, len(Unit)), reset_less=True)
        with m.If(port.read):
            m.d.sync += [plain.eq(0), known.eq(0)]
            m.d.sync += [count.eq(value) for count, value in zip(counts, counters, strict=True)]
            with m.Switch(port.read_word):
                for word, value in words.items():
                    with m.Case(word):
                        m.d.sync += [plain.eq(value), known.eq(1)]
        count = counts[port.read_word[UNIT]]
        counter = port.read_word[GROUP] == Register.COUNTERS >> 2 + GROUP.start
        m.d.comb += [
            port.read_data.eq(Mux(counter, Mux(port.read_word[0], count[REGISTER_BITS:], count[:REGISTER_BITS]), plain)),
            port.read_error.eq(~known & ~counter),
        ]
