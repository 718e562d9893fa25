"""Connects the POST unit to the sums of the array or of a second unit, DEPTHWISE or ATTENTION."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import MEMORY_LATENCY, accumulator_read_signature
from arrayloom.hdl.pipeline import delay, flag_line
from arrayloom.isa.config import Config


class SumsChoice(Component):
    """Routes the POST unit's reads of sums, Drain by Drain, to the unit that has filled the bank.

    Parameters
    ----------
    config : Config
    most : int
        Largest number of Drains that the POST unit has accepted and not finished reading.

    Members
    -------
    drains : In(1)
        The POST unit accepts a Drain.
    of_depthwise : In(1)
        With ``drains``: the Drain reads the sums of the second unit.
    post : In(accumulator_read_signature(config))
        The POST unit's reads.
    array : Out(accumulator_read_signature(config))
    depthwise : Out(accumulator_read_signature(config))
        Reads of the second unit's sums.
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
