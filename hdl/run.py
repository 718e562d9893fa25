"""One run of a program: begins and ends it, and reports how it ended."""

from enum import IntEnum
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.axi import bus_status_signature
from arrayloom.hdl.fetch import control_signature
from arrayloom.hdl.issue import status_signature
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.fields import CORE_UNITS, Unit
from arrayloom.isa.registers import Block, Cause, Error


class State(IntEnum):
    """IDLE until a run begins; BEGIN, STOP and (after an error) FAIL wait for the bus."""

    IDLE = 0
    BEGIN = 1
    RUN = 2
    STOP = 3
    FAIL = 4


UNIT_BITS = 3


class Run(Component):
    """The state of a run. The first error ends it and freezes its counters.

    A run has ``failed`` only once the bus is quiet: memory does not change after that. If the bus does not
    become quiet, ``stuck`` is set until reset.

    ``begin`` waits until the bus is quiet, then resets FETCH with ``clear`` and one unit after the other with ``resets``
    until all are in reset, and starts FETCH in the next cycle, the first of ``running``. After an error the units
    are halted until the next ``begin``. ``stop`` ends a run that is then neither done nor failed.

    Parameters
    ----------
    units : int
        Number of units.

    Members
    -------
    begin : In(1)
        A pulse, neither while ``busy`` nor ``stuck``: begin a run.
    stop : In(1)
        A pulse: end the run.
    watchdog : In(32)
        Number of ``busy`` cycles in which no unit works or retires an instruction and no word moves on the bus after which
        the run fails; 0: no limit. While a run begins or ends, only the bus counts.
    over : In(1)
        The run takes too many cycles.
    busy : Out(1)
        A run is in progress, or begins or ends.
    running : Out(1)
        A run is in progress.
    done : Out(1)
        The last run ended without an error.
    failed : Out(1)
        The last run ended with an error.
    ended : Out(1)
        A pulse when the run is done or has failed.
    clear : Out(1)
        Resets FETCH, the counters, and the FIFOs between units.
    resets : Out(units)
        Resets each unit with its queue: LOAD one cycle after ``clear``, each other unit one cycle later, since a register
        with a fan-out to the whole chip would limit the clock. All resets end together, after a cycle in which all units are
        in reset, so that no unit sees another's earlier state.
    halt : Out(1)
        Not ``running``, one cycle late: a unit or the bus may begin one more operation, for which nothing waits.
    stuck : Out(1)
        The bus did not answer a burst.
    error : Out(8)
        ``arrayloom.isa.registers.Error``.
    error_unit : Out(UNIT_BITS)
        ``arrayloom.isa.registers.Block``; FETCH for the program as a whole.
    error_address : Out(ADDRESS_BITS)
        Byte address of an access outside its limits, 0 after other errors.
    units : In(status_signature(units)) of each unit
    fetch : In(control_signature())
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
    """

    def __init__(self, units: int = len(CORE_UNITS)) -> None:
        super().__init__({
            "begin": In(1), "stop": In(1), "watchdog": In(32), "over": In(1), "busy": Out(1), "running": Out(1),
            "done": Out(1), "failed": Out(1), "ended": Out(1), "clear": Out(1), "resets": Out(units),
            "halt": Out(1, init=1), "stuck": Out(1), "error": Out(8), "error_unit": Out(UNIT_BITS),
            "error_address": Out(ADDRESS_BITS), "units": In(status_signature(units)).array(units),
            "fetch": In(control_signature()), "bus": In(bus_status_signature()), "load_error": In(1),
            "store_error": In(1), "load_outside": In(1), "store_outside": In(1), "load_address": In(ADDRESS_BITS),
            "store_address": In(ADDRESS_BITS), "data_left": In(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.state = Signal(State)
        self.fault, self.fault_error, self.fault_unit = Signal(), Signal(Error), Signal(UNIT_BITS)
        self.fault_address = Signal(ADDRESS_BITS)
        self.finished, self.expired = Signal(), Signal()
        self.changes = Signal()     # the state is new: the time after a timeout is counted afresh
        m.d.comb += [
            self.busy.eq(self.state != State.IDLE), self.running.eq(self.state == State.RUN),
            self.bus.halt.eq(self.halt),
        ]
        # read two cycles after the last unit was seen idle, when nothing changes any more
        self.kept_tokens, self.kept_data = Signal(len(self.units)), Signal()
        m.d.sync += [self.kept_tokens.eq(Cat(unit.tokens.as_value().any() for unit in self.units)),
                     self.kept_data.eq(self.data_left)]
        # only a halted bus stays quiet
        quiet, begun = Signal(), Signal()
        m.d.comb += [quiet.eq(self.bus.quiet & self.halt), begun.eq((self.state == State.BEGIN) & self.resets[-1])]
        m.d.sync += [
            self.halt.eq(~self.running), self.fetch.start.eq(begun & ~self.stop),
            self.finished.eq(self.fetch.finished & self.running),
        ]
        self._reset(m, quiet, begun)
        self._detect(m)
        self._watch(m)
        self._step(m, quiet, begun)
        return m

    def _reset(self, m: Module, quiet: Value, begun: Value) -> None:
        with m.If((self.state == State.BEGIN) & ~begun & ~self.stop):
            m.d.sync += [self.clear.eq(self.clear | quiet), self.resets.eq(self.resets | Cat(self.clear, self.resets))]
        with m.Else():
            m.d.sync += [self.clear.eq(0), self.resets.eq(0)]

    def _step(self, m: Module, quiet: Value, begun: Value) -> None:
        with m.If(self.stop):
            self._enter(m, State.STOP)
        with m.Elif(self.begin):
            self._enter(m, State.BEGIN)
        with m.Elif(self.running & self.fault):
            self._fail(m, self.fault_error, self.fault_unit)
            m.d.sync += self.error_address.eq(self.fault_address)
        with m.Elif(self.running & self.finished):
            self._finish(m)
        with m.Elif(self.running & self.expired):
            self._fail(m, Error.WATCHDOG, self._stuck())
        with m.Elif(self.running & self.over):
            self._fail(m, Error.CYCLE_LIMIT, self._stuck())
        with m.Elif(begun):
            m.d.sync += self.state.eq(State.RUN)
        with m.Elif(((self.state == State.STOP) | (self.state == State.FAIL)) & quiet):
            m.d.comb += self.ended.eq(self.state == State.FAIL)
            m.d.sync += [self.state.eq(State.IDLE), self.failed.eq(self.state == State.FAIL)]
        with m.Elif(self.busy & self.expired & ~self.changes):
            m.d.comb += self.ended.eq(1)
            m.d.sync += [self.state.eq(State.IDLE), self.failed.eq(1), self.stuck.eq(1), self.error.eq(Error.BUS_STUCK)]

    def _enter(self, m: Module, state: State) -> None:
        m.d.sync += [self.state.eq(state), self.done.eq(0), self.failed.eq(0), self.error.eq(Error.NONE),
                     self.error_address.eq(0)]

    def _fail(self, m: Module, error: Value | Error, unit: Value | Unit | Block) -> None:
        m.d.sync += [self.state.eq(State.FAIL), self.error.eq(error), self.error_unit.eq(unit)]

    def _finish(self, m: Module) -> None:
        with m.If(self.kept_tokens.any()):
            self._fail(m, Error.TOKENS_LEFT, _lowest(self.kept_tokens))
        with m.Elif(self.kept_data):
            self._fail(m, Error.DATA_LEFT, Block.FETCH)
        with m.Else():
            m.d.comb += self.ended.eq(1)
            m.d.sync += [self.state.eq(State.IDLE), self.done.eq(1)]

    def _detect(self, m: Module) -> None:
        """Registers the first error of a cycle, in the order of the list."""
        illegal = Cat([unit.illegal for unit in self.units], self.fetch.illegal)
        overflow = Cat(unit.overflow for unit in self.units)
        nowhere = Const(0, ADDRESS_BITS)
        sources = [
            (self.fetch.damaged, Error.DAMAGED_INSTRUCTION, Block.FETCH, nowhere),
            (illegal.any(), Error.ILLEGAL_INSTRUCTION, _block(illegal), nowhere),
            (self.store_outside, Error.WRITE_OUTSIDE, Unit.STORE, self.store_address),
            (self.load_outside, Error.READ_OUTSIDE, Unit.LOAD, self.load_address),
            (self.fetch.outside, Error.READ_OUTSIDE, Block.FETCH, self.fetch.address),
            (self.load_error, Error.BUS_READ, Unit.LOAD, nowhere),
            (self.fetch.bus_error, Error.BUS_READ, Block.FETCH, nowhere),
            (self.store_error, Error.BUS_WRITE, Unit.STORE, nowhere),
            (self.bus.broken, Error.BUS_BROKEN, Block.FETCH, nowhere),
            (overflow.any(), Error.TOKEN_OVERFLOW, _lowest(overflow), nowhere),
        ]
        m.d.sync += self.fault.eq(0)
        for present, error, unit, address in reversed(sources):
            with m.If(present):
                m.d.sync += [self.fault.eq(self.running), self.fault_error.eq(error), self.fault_unit.eq(unit),
                             self.fault_address.eq(address)]

    def _watch(self, m: Module) -> None:
        still, progress, before = Signal(32), Signal(), Signal(State)
        m.d.comb += self.changes.eq(self.state != before)
        m.d.sync += [
            before.eq(self.state),
            progress.eq(Cat([self.running & (unit.retired | (unit.cause == Cause.COMPUTING)) for unit in self.units],
                            self.bus.read, self.bus.written).any()),
            self.expired.eq((still >= self.watchdog) & (self.watchdog != 0) & self.busy & ~self.changes),
        ]
        with m.If(progress | ~self.busy | self.changes):
            m.d.sync += still.eq(0)
        with m.Else():
            m.d.sync += still.eq(still + 1)

    def _stuck(self) -> Value:
        """The first unit with work, else FETCH."""
        return _block(Cat([~unit.idle for unit in self.units], 1))


def _block(bits: Value) -> Value:
    """The lowest unit whose bit is set, or FETCH, whose bit is the last."""
    return Mux(bits[:-1].any(), _lowest(bits[:-1]), Block.FETCH)


def _lowest(bits: Value) -> Value:
    """The number of the lowest bit that is set, or of the last."""
    number = len(bits) - 1
    for index in reversed(range(len(bits) - 1)):
        number = Mux(bits[index], index, number)
    return number
