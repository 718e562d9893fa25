"""Counters of what a unit does, one for each cause, in one small memory."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from isa.registers import CAUSE_BITS

COUNTER_BITS = 48


class CauseCounters(Component):
    """In each cycle with ``enable``, the counter of ``cause`` goes up by one; ``clear`` sets all to zero.

    Members
    -------
    cause : In(4)
    enable : In(1)
    clear : In(1)
    select : In(4)
        The counter that is in ``value`` in the same cycle.
    value : Out(48)
    """

    def __init__(self) -> None:
        super().__init__({"cause": In(CAUSE_BITS), "enable": In(1), "clear": In(1), "select": In(CAUSE_BITS),
                          "value": Out(COUNTER_BITS)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=COUNTER_BITS, depth=1 << CAUSE_BITS, init=[])
        counting, reading = memory.read_port(domain="comb"), memory.read_port(domain="comb")
        writing = memory.write_port()
        # A memory cannot be cleared at once: a counter holds nothing until it has counted.
        counted = Signal(1 << CAUSE_BITS)
        m.d.comb += [
            counting.addr.eq(self.cause), writing.addr.eq(self.cause), writing.en.eq(self.enable & ~self.clear),
            writing.data.eq(Mux(counted.bit_select(self.cause, 1), counting.data, 0) + 1),
            reading.addr.eq(self.select), self.value.eq(Mux(counted.bit_select(self.select, 1), reading.data, 0)),
        ]
        with m.If(self.clear):
            m.d.sync += counted.eq(0)
        with m.Elif(self.enable):
            m.d.sync += counted.bit_select(self.cause, 1).eq(1)
        return m
