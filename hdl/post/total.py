"""Total: the 32-bit sum of the bytes under each window, channel by channel."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.post.fetch import gathered_layout
from arrayloom.hdl.post.records import Origin
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import TAPS

_SUM = signed(32)       # what the lanes take
assert _SUM.width >= 2 * TAPS + 8, "the largest window's sum must fit: 2**(2 * TAPS) bytes at most"


class Total(Component):
    """Accepts a word per cycle until a sum is complete; continues when that has been used.

    Parameters
    ----------
    config : Config

    Members
    -------
    word : In(stream.Signature(gathered_layout(config)))
        Words under windows; those of other instructions are ignored.
    complete : Out(1)
        There are complete sums that no instruction uses yet.
    take : In(1)
        An instruction starts to use them.
    used : In(1)
        The last of them has been used; not before the cycle after ``take``.
    sums : Out(ArrayLayout(signed(32), size))
        One for each channel.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "word": In(stream.Signature(gathered_layout(config))), "complete": Out(1), "take": In(1), "used": In(1),
            "sums": Out(data.ArrayLayout(_SUM, config.size)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        holding, fresh, step = Signal(name="holding"), Signal(name="fresh", init=1), Signal()
        word = self.word.payload
        m.d.comb += [
            self.word.ready.eq(~holding & (word.origin == Origin.SUM)), step.eq(self.word.valid & self.word.ready),
        ]
        with m.If(step):
            m.d.sync += [fresh.eq(word.last), holding.eq(word.last), self.complete.eq(word.last)]
        with m.If(self.take):
            m.d.sync += self.complete.eq(0)
        with m.If(self.used):
            m.d.sync += holding.eq(0)
        for channel in range(self.config.size):
            total = Signal(_SUM, name=f"sum_{channel}", reset_less=True)
            term = Mux(word.inside, word.word.word_select(channel, 8).as_signed(), 0)
            with m.If(step):
                m.d.sync += total.eq(Mux(fresh, 0, total) + term)
            m.d.comb += self.sums[channel].eq(total)
        return m
