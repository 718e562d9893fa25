"""The multipliers: multiply words of the scratchpad by weights, and add the products of each channel."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.depthwise.signatures import slot_layout
from arrayloom.hdl.pipeline import data_register, flag_line
from arrayloom.isa.config import Config

BYTE = signed(8)
PRODUCT = signed(16)
SUM = signed(32)

# Cycles from a word to the operands, from there to the products, and from there to their sum.
OPERAND = 2
MULTIPLY = 1
ADD = 1


class DepthwiseMultiplier(Component):
    """``depthwise_columns`` multipliers per channel, each with its own weight; words move through a shift register.

    Parameters
    ----------
    config : Config
        ``depthwise_channels`` channels are in a word.

    Members
    -------
    valid : In(1)
        A word arrives.
    slot : In(slot_layout(config))
        Describes how the word is used.
    word : In(word_bits)
    operands : Out(1)
        The operands of an output are complete: ``OPERAND`` cycles after a ``valid`` word whose slot has ``fire``.
    of : Out(slot_layout(config))
        With ``operands``: the slot of that word.
    sums : Out(ArrayLayout(SUM, depthwise_channels))
        ``MULTIPLY + ADD`` cycles after ``operands``.
    """

    def __init__(self, config: Config) -> None:
        self.channels, self.columns = config.depthwise_channels, config.depthwise_columns
        slot = slot_layout(config)
        super().__init__({
            "valid": In(1), "slot": In(slot), "word": In(config.word_bits), "operands": Out(1), "of": Out(slot),
            "sums": Out(data.ArrayLayout(SUM, self.channels)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        slot = self.slot
        # First stage: words of the source are shifted; a weight waits in a register of its own until it is used.
        shifts = self.valid & ~slot.weight
        words: list[Signal] = []
        entering = self.word
        for place in reversed(range(self.columns)):
            entering = data_register(m, entering, shifts, f"word_{place}")
            words.insert(0, entering)
        weight = data_register(m, self.word, self.valid & slot.weight, "weight")
        there = flag_line(m, self.valid, OPERAND - 1, "there")[-1]
        held = data_register(m, slot, self.valid, "held")
        fires = there & ~held.weight & held.fire
        # Second stage: operands and weights, each in a register in front of its multiplier.
        weighs = there & held.weight
        products = []
        multiplies = flag_line(m, fires, 1, "multiplies")[-1]
        adds = flag_line(m, multiplies, 1, "adds")[-1]
        for place, word in enumerate(words):
            chosen = weighs & (held.place == place)
            bytes_of = data.View(data.ArrayLayout(BYTE, self.channels), word)
            weights_of = data.View(data.ArrayLayout(BYTE, self.channels), weight)
            products.append([self._product(m, f"{place}_{channel:03}", Mux(held.inside[place], bytes_of[channel],
                                                                          held.padding.as_signed()), weights_of[channel],
                                           fires, chosen, weighs & held.clear & ~chosen, multiplies)
                             for channel in range(self.channels)])
        for channel in range(self.channels):
            total = Signal(SUM, name=f"sum_{channel:03}", reset_less=True)
            with m.If(adds):
                m.d.sync += total.eq(sum((row[channel] for row in products[1:]), products[0][channel]))
            m.d.comb += self.sums[channel].eq(total)
        m.d.comb += [self.operands.eq(multiplies), self.of.eq(data_register(m, held, fires, "of"))]
        return m

    @staticmethod
    def _product(m: Module, name: str, operand: Any, weight: Any, fires: Any, loads: Any, clears: Any,
                 multiplies: Any) -> Signal:
        """One multiplier with its two operand registers and its result register."""
        factor, own = (Signal(BYTE, name=f"{kind}_{name}", reset_less=True) for kind in ("operand", "kernel"))
        product = Signal(PRODUCT, name=f"product_{name}", reset_less=True)
        with m.If(fires):
            m.d.sync += factor.eq(operand)
        with m.If(loads):
            m.d.sync += own.eq(weight)
        with m.Elif(clears):
            m.d.sync += own.eq(0)
        with m.If(multiplies):
            m.d.sync += product.eq(factor * own)
        return product
