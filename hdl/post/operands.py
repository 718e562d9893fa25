"""Operands: select the values of a group that enter the lanes, from any origin."""

from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.interfaces import accumulator_read_signature
from arrayloom.hdl.post.records import Origin, byte_word
from arrayloom.hdl.post.stages import CAPTURED, DATA, OPERAND
from arrayloom.hdl.post.tokens import at, chain_layout, channel_of, choose
from arrayloom.isa.config import Config


class Operands(Component):
    """Reads accumulators a fixed number of cycles after a group is issued; other origins hold their word until then.

    Parameters
    ----------
    config : Config

    Members
    -------
    chains : In(chain_layout(config, OPERAND))
        The tokens at stages up to ``CAPTURED``.
    issued : In(1)
        The sequencer issues the first group of a word.
    drains : In(1)
        With ``issued``: the word is of origin ACCUMULATOR.
    closing : In(1)
        With ``issued``: the word is the instruction's last.
    pixel : In(range(accumulator_depth))
        With ``issued``: the word's number.
    accumulator : Out(accumulator_read_signature(config))
        The full accumulator bank.
    bytes : In(byte_word(config))
        The next word of origin BYTES.
    average : In(ArrayLayout(signed(8), lanes))
        The next group of origin AVERAGE.
    sums : In(ArrayLayout(signed(32), size))
        The next word of origin SUM.
    used_bytes : Out(1)
        That word of origin BYTES is no longer needed.
    used_sums : Out(1)
        Likewise for origin SUM.
    used_average : Out(1)
        Likewise for origin AVERAGE.
    values : Out(ArrayLayout(signed(32), lanes))
        With the token at stage ``OPERAND``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "chains": In(chain_layout(config, OPERAND)),
            "issued": In(1), "drains": In(1), "closing": In(1), "pixel": In(ceil_log2(config.accumulator_depth)),
            "accumulator": Out(accumulator_read_signature(config)),
            "bytes": In(byte_word(config)), "average": In(data.ArrayLayout(signed(8), config.lanes)),
            "sums": In(data.ArrayLayout(signed(32), config.size)),
            "used_bytes": Out(1), "used_sums": Out(1), "used_average": Out(1),
            "values": Out(data.ArrayLayout(signed(32), config.lanes)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        arriving, captured = (at(self.chains, stage) for stage in (DATA, CAPTURED))
        port = self.accumulator
        arrives = arriving.valid & ~arriving.group.any() & (arriving.origin == Origin.ACCUMULATOR)
        pixel = Signal.like(self.pixel, reset_less=True)
        with m.If(self.issued):
            m.d.sync += pixel.eq(self.pixel)
        m.d.sync += [port.enable.eq(self.issued & self.drains), port.release.eq(self.issued & self.drains & self.closing)]
        m.d.comb += port.address.eq(pixel)
        held = Signal(port.data.shape(), reset_less=True)
        with m.If(arrives):
            m.d.sync += held.eq(port.data)
        leaves = captured.final
        m.d.comb += [
            self.used_bytes.eq(leaves & (captured.origin == Origin.BYTES)),
            self.used_sums.eq(leaves & (captured.origin == Origin.SUM)),
            self.used_average.eq(leaves & (captured.origin == Origin.AVERAGE)),
        ]
        self._select(m, captured, held)
        return m

    def _select(self, m: Module, captured: SimpleNamespace, held: data.View) -> None:
        words = {Origin.ACCUMULATOR: held, Origin.BYTES: self.bytes, Origin.SUM: self.sums}
        for lane in range(self.config.lanes):
            value = Signal(signed(32), name=f"value_{lane}", reset_less=True)
            chosen = [channel_of(words[origin], captured.group, lane, self.config) if origin in words
                      else self.average[lane] for origin in Origin]
            with m.If(captured.valid):
                m.d.sync += value.eq(choose(captured.origin, chosen))
            m.d.comb += self.values[lane].eq(value)
