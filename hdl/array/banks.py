"""Ownership of the accumulator banks: the sequencer takes them in turn; the POST unit receives and releases them."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.isa.config import ACCUMULATOR_BANKS, Config


class AccumulatorBanks(Component):
    """Counts banks; they are used in turn, so counts determine which bank is in which state.

    Parameters
    ----------
    config : Config
        ``accumulator_depth`` pixels fit in a bank.

    Members
    -------
    free : Out(1)
        A bank is empty.
    taken : In(1)
        A pulse: the sequencer takes an empty bank.
    ended : In(1)
        A pulse, before ``written``: ``position`` is the last pixel of the oldest bank that was taken.
    position : In(range(accumulator_depth))
        Its number.
    written : In(1)
        A pulse: the oldest bank that was taken is complete.
    available : Out(1)
        A complete bank is available.
    drain : Out(1)
        The number of the bank to drain.
    last : Out(range(accumulator_depth))
        The number of that bank's last pixel.
    release : In(1)
        A pulse: that bank is empty again.
    used : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are not empty.
    full : Out(range(ACCUMULATOR_BANKS + 1))
        Banks that are complete.
    """

    def __init__(self, config: Config) -> None:
        pixel, count = ceil_log2(config.accumulator_depth), range(ACCUMULATOR_BANKS + 1)
        super().__init__({
            "free": Out(1), "taken": In(1), "ended": In(1), "position": In(pixel), "written": In(1), "available": Out(1),
            "drain": Out(1), "last": Out(pixel), "release": In(1), "used": Out(count), "full": Out(count),
        })

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
        # in the order of banks, not by number, and zero if there is none: states that differ only in the
        # number of the next bank, or in the past, compare equal
        next_last, ended = Signal.like(self.last), Signal(range(ACCUMULATOR_BANKS + 1))
        with m.If(self.ended & ~self.release):
            m.d.sync += ended.eq(ended + 1)
        with m.Elif(self.release & ~self.ended):
            m.d.sync += ended.eq(ended - 1)
        with m.If(self.release):
            m.d.sync += [self.last.eq(Mux(ended == 1, Mux(self.ended, self.position, 0), next_last)), next_last.eq(0)]
        with m.Elif(self.ended & (ended == 0)):
            m.d.sync += self.last.eq(self.position)
        with m.Elif(self.ended):
            m.d.sync += next_last.eq(self.position)
        m.d.comb += [
            self.free.eq(used != ACCUMULATOR_BANKS),
            self.drain.eq(drain),
        ]
        return m
