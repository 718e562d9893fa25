"""Which sums a Drain finds: those of the array or of the unit next to it, DEPTHWISE or ATTENTION."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import MEMORY_LATENCY, accumulator_read_signature
from arrayloom.hdl.pipeline import delay, flag_line
from arrayloom.isa.config import Config


class SumsChoice(Component):
    """Has the POST unit read the sums of each Drain in turn from the unit that fills them.

    Parameters
    ----------
    config : Config
    most : int
        Drains that the POST unit has accepted and not finished reading, at most.

    Members
    -------
    drains : In(1)
        The POST unit accepts a Drain.
    of_depthwise : In(1)
        With ``drains``: of that unit's sums.
    post : In(accumulator_read_signature(config))
        The POST unit's reads.
    array : Out(accumulator_read_signature(config))
    depthwise : Out(accumulator_read_signature(config))
        That unit's.
    """

    def __init__(self, config: Config, most: int) -> None:
        self.most = most
        super().__init__({
            "drains": In(1), "of_depthwise": In(1), "post": In(accumulator_read_signature(config)),
            "array": Out(accumulator_read_signature(config)), "depthwise": Out(accumulator_read_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        post, array, depthwise = self.post, self.array, self.depthwise
        # Of the Drains inside the POST unit, oldest first.
        order, count = Signal(self.most, name="order"), Signal(range(self.most + 1), name="count")
        rest, left = Signal(self.most), Signal.like(count)
        m.d.comb += [rest.eq(Mux(post.release, order >> 1, order)), left.eq(count - post.release)]
        m.d.sync += [count.eq(left + self.drains), order.eq(rest)]
        with m.If(self.drains):
            m.d.sync += order.eq(Cat(Mux(left == place, self.of_depthwise, rest[place]) for place in range(self.most)))
        chosen = order[0]
        m.d.comb += [
            post.available.eq(count.any() & Mux(chosen, depthwise.available, array.available)),
            post.last.eq(Mux(chosen, depthwise.last, array.last)),
        ]
        for port, own in ((array, ~chosen), (depthwise, chosen)):
            m.d.comb += [port.enable.eq(post.enable & own), port.address.eq(post.address),
                         port.release.eq(post.release & own)]
        arriving = delay(m, chosen, flag_line(m, post.enable, MEMORY_LATENCY - 1, "reading"), "chosen")
        m.d.comb += post.data.as_value().eq(Mux(arriving, depthwise.data.as_value(), array.data.as_value()))
        return m
