"""Who owns the accumulator banks: taken in turn by the sequencer, given to the POST unit, given back."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.config import ACCUMULATOR_BANKS


class AccumulatorBanks(Component):
    """Counts banks; they are used in turn, so counts say all.

    Members: ``free``: one is empty; ``taken``: the sequencer takes it; ``written``: the oldest taken one is complete;
    ``available``: a complete one is there; ``drain``: which; ``release``: it is empty again; ``used``: how many are not
    empty; ``full``: how many are complete.
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
