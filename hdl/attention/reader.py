"""Words of the scratchpad, one after the other."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import MEMORY_LATENCY, bank_of, leaves_scratchpad, read_port_signature
from arrayloom.hdl.pipeline import flag_line
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import EXTENT, WORD_ADDRESS


class Reader(Component):
    """Reads ``count`` words from ``first`` on when ``go`` is set; one at a time where ``single`` is.

    Parameters
    ----------
    config : Config

    Members
    -------
    go : In(1)
        A pulse, while ``busy`` is clear.
    first : In(WORD_ADDRESS)
    count : In(EXTENT)
        Not zero.
    busy : Out(1)
        Words are still to come.
    valid : Out(1)
        ``word`` is the next one.
    word : Out(word_bits)
    beyond : Out(1)
        A word beyond the scratchpad's end is asked for.
    read : Out(read_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "go": In(1), "first": In(WORD_ADDRESS), "count": In(EXTENT), "busy": Out(1), "valid": Out(1),
            "word": Out(config.word_bits), "beyond": Out(1), "read": Out(read_port_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        address = Signal(WORD_ADDRESS + 1, reset_less=True)
        asks, left, due = Signal(), Signal(EXTENT, reset_less=True), Signal(EXTENT, name="due")
        accepted = asks & self.read.ready
        arrives = flag_line(m, accepted, MEMORY_LATENCY, "arrives")[-1]
        m.d.comb += [
            self.read.valid.eq(asks), self.read.address.eq(address), self.read.bank.eq(bank_of(address, self.config)),
            self.valid.eq(arrives), self.word.eq(self.read.data), self.busy.eq(due.any()),
            self.beyond.eq(asks & leaves_scratchpad(address, self.config)),
        ]
        with m.If(self.go):
            m.d.sync += [address.eq(self.first), asks.eq(1), left.eq(self.count), due.eq(self.count)]
        with m.Else():
            with m.If(accepted):
                m.d.sync += [address.eq(address + 1), left.eq(left - 1), asks.eq(left != 1)]
            with m.If(arrives):
                m.d.sync += due.eq(due - 1)
        return m
