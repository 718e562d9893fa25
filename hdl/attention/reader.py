"""Words of the scratchpad, one after the other."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of, leaves_scratchpad, read_port_signature
from arrayloom.hdl.pipeline import flag_line
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import EXTENT, WORD_ADDRESS

AHEAD = 8       # words that are read before the first of them is taken


class Reader(Component):
    """Reads ``count`` words, ``step`` apart, from ``first`` on when ``go`` is set, and holds them until they are taken.

    Parameters
    ----------
    config : Config

    Members
    -------
    go : In(1)
        A pulse, while all words that were asked for before are taken.
    first : In(WORD_ADDRESS + 1)
    step : In(WORD_ADDRESS)
    count : In(EXTENT)
        Not zero.
    valid : Out(1)
        ``word`` is the next one.
    word : Out(word_bits)
    take : In(1)
        With ``valid``: the word is taken.
    beyond : Out(1)
        A word beyond the scratchpad's end is asked for.
    read : Out(read_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "go": In(1), "first": In(WORD_ADDRESS + 1), "step": In(WORD_ADDRESS), "count": In(EXTENT), "valid": Out(1),
            "word": Out(config.word_bits), "take": In(1), "beyond": Out(1), "read": Out(read_port_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.words = words = SyncFIFOBuffered(width=self.config.word_bits, depth=AHEAD)
        address, step = Signal(WORD_ADDRESS + 1, reset_less=True), Signal(WORD_ADDRESS, reset_less=True)
        asks, left, held = Signal(), Signal(EXTENT, reset_less=True), Signal(range(AHEAD + 1), name="held")
        offered, accepted, taken = Signal(), Signal(), Signal()
        arrives = flag_line(m, accepted, MEMORY_LATENCY, "arrives")[-1]
        m.d.comb += [
            offered.eq(asks & (held != AHEAD)), accepted.eq(offered & self.read.ready),
            self.read.valid.eq(offered), self.read.address.eq(address), self.read.bank.eq(bank_of(address, self.config)),
            words.w_en.eq(arrives), words.w_data.eq(self.read.data),
            self.valid.eq(words.r_rdy), self.word.eq(words.r_data), taken.eq(self.take & words.r_rdy), words.r_en.eq(taken),
            self.beyond.eq(offered & leaves_scratchpad(address, self.config)),
        ]
        m.d.sync += held.eq(held + accepted - taken)
        with m.If(self.go):
            m.d.sync += [address.eq(self.first), step.eq(self.step), asks.eq(1), left.eq(self.count)]
        with m.Elif(accepted):
            m.d.sync += [address.eq(address + step), left.eq(left - 1), asks.eq(left != 1)]
        return m
