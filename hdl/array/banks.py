"""Who owns the accumulator banks: the sequencer takes them in turn, the POST unit gets them and gives them back."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.config import ACCUMULATOR_BANKS


class AccumulatorBanks(Component):
    """Counts banks; they are used in turn, so counts determine which bank is in which state.

    Members
    -------
    free : Out(1)
        A bank is empty.
    taken : In(1)
        A pulse: the sequencer takes an empty bank.
    written : In(1)
        A pulse: the oldest bank that was taken is complete.
    available : Out(1)
        A complete bank is there.
    drain : Out(1)
        The number of the bank to drain.
    release : In(1)
        A pulse: that bank is empty again.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are complete.
    """

    free: Out(1)
    taken: In(1)
    written: In(1)
    available: Out(1)
    drain: Out(1)
    release: In(1)
    used: Out(range(ACCUMULATOR_BANKS + 1))
    full: Out(range(ACCUMULATOR_BANKS + 1))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        used, full, drain = self.used, self.full, Signal()
        with m.If(self.taken | self.release):
            m.d.sync += used.eq(used + self.taken - self.release)
        with m.If(self.written | self.release):
            m.d.sync += [full.eq(full + self.written - self.release),
                         self.available.eq(self.written | (full[1] & self.release))]
        with m.If(self.release):
            m.d.sync += drain.eq(~drain)
        m.d.comb += [
            self.free.eq(used != ACCUMULATOR_BANKS),
            self.drain.eq(drain),
        ]
        return m
