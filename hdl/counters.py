"""Counters of what a unit does, one for each cause, in one small memory."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.registers import CAUSE_BITS, CYCLE_BITS


class CauseCounters(Component):
    """For each cycle with ``enable``, the counter of ``cause`` is incremented one cycle later.

    Members
    -------
    cause : In(CAUSE_BITS)
        The counter to increment.
    enable : In(1)
        Count this cycle.
    clear : In(1)
        Sets all counters to zero. Not in a cycle with ``enable`` nor in the next.
    select : In(CAUSE_BITS)
        The counter to show in ``value`` in the same cycle.
    value : Out(CYCLE_BITS)
        Valid only if ``counted``.
    counted : Out(1)
        The selected counter is not zero.
    """

    cause: In(CAUSE_BITS)
    enable: In(1)
    clear: In(1)
    select: In(CAUSE_BITS)
    value: Out(CYCLE_BITS)
    counted: Out(1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=CYCLE_BITS, depth=1 << CAUSE_BITS, init=[])
        counting, reading = memory.read_port(domain="comb"), memory.read_port(domain="comb")
        writing = memory.write_port()
        # a memory cannot be cleared at once: a counter's content is ignored until it has counted
        counted = Signal(1 << CAUSE_BITS)
        cause, enable, known = Signal(CAUSE_BITS), Signal(), Signal()
        m.d.sync += [
            cause.eq(self.cause), enable.eq(self.enable),
            known.eq(counted.bit_select(self.cause, 1) | (enable & (self.cause == cause))),
        ]
        m.d.comb += [
            counting.addr.eq(cause), writing.addr.eq(cause), writing.en.eq(enable),
            writing.data.eq(Mux(known, counting.data, 0) + 1),
            reading.addr.eq(self.select), self.value.eq(reading.data),
            self.counted.eq(counted.bit_select(self.select, 1)),
        ]
        with m.If(self.clear):
            m.d.sync += counted.eq(0)
        with m.Elif(enable):
            m.d.sync += counted.bit_select(cause, 1).eq(1)
        return m
