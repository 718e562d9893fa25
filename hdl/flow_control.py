"""A buffer that cuts the path from a stream's reader back to its writer."""

from typing import Any

from amaranth.hdl import Module, Mux, ShapeLike, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out


class Elastic(Component):
    """Two registers: both ends of the stream are registers, and a word moves in every cycle.

    Members
    -------
    enter : In(stream of ``shape``)
    leave : Out(stream of ``shape``)
        One cycle later at the earliest.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"enter": In(stream.Signature(shape)), "leave": Out(stream.Signature(shape))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        enter, leave = self.enter, self.leave
        spare = Signal.like(enter.payload, name="spare", reset_less=True)
        held = Signal.like(enter.payload, name="held", reset_less=True)
        filled = Signal()
        m.d.comb += [enter.ready.eq(~filled), leave.payload.eq(held)]
        with m.If(~leave.valid | leave.ready):
            m.d.sync += [leave.valid.eq(filled | enter.valid), filled.eq(0)]
            with m.If(filled | enter.valid):
                m.d.sync += held.eq(Mux(filled, spare, enter.payload))
        with m.Elif(enter.valid & ~filled):
            m.d.sync += [spare.eq(enter.payload), filled.eq(1)]
        return m
