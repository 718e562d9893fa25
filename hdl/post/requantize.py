"""Requantize: one lane from a 32-bit sum to a small integer, as ``isa.arithmetic.requantize`` defines it."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from hdl.post.rounding import RESULT, WHOLE, RoundWithTies, carry, excess, magnitude, round_to_24_bits
from isa.arithmetic import FRACTION, MIN_SHIFT, SIGNIFICANT

_KEPT = WHOLE + FRACTION            # bits below which a magnitude is not saturated
_FINE = 4                           # bits of the shift that the second shifter takes
_WINDOW = _KEPT + (1 << _FINE) - 1  # bits that can still reach the kept ones after the coarse shift
_PRODUCT = 32 + SIGNIFICANT


class Requantize(Component):
    """rne(fl(fl(sum + bias) * scale)); the addition wraps; magnitudes saturate at 511.

    Shifts from 14 to 63, or any with multiplier 0.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    sum, bias : In(signed(32))
    scale : In(32)
        The scale word, ``SCALE_AT`` cycles after the sum.
    result : Out(signed)
    """

    SCALE_AT = 4
    SHIFT_AT = SCALE_AT + 3
    ROUND_AT = SHIFT_AT + 2
    LATENCY = ROUND_AT + RoundWithTies.LATENCY

    enables: In(LATENCY)
    sum: In(signed(32))
    bias: In(signed(32))
    scale: In(32)
    result: Out(RESULT)

    def elaborate(self, platform):
        m = Module()
        rounded, negative = self._float(m)
        product = self._multiply(m, rounded)
        m.submodules.round = rounder = RoundWithTies()
        self._shift(m, product, rounder)
        m.d.comb += [
            rounder.enables.eq(self.enables[self.ROUND_AT:]),
            rounder.negative.eq(carry(m, negative, self.enables[2:self.ROUND_AT])),
            self.result.eq(rounder.result),
        ]
        return m

    def _float(self, m):
        """Sum and bias as a magnitude of 24 significant bits, and the sign (two stages earlier)."""
        biased = Signal(signed(32), reset_less=True)
        size, negative = Signal(32, reset_less=True), Signal(reset_less=True)
        mask, odd = Signal(32 - SIGNIFICANT, reset_less=True), Signal(reset_less=True)
        rounded = Signal(32, reset_less=True)
        held = carry(m, size, [self.enables[2]])
        with m.If(self.enables[0]):
            m.d.sync += biased.eq(self.sum + self.bias)
        with m.If(self.enables[1]):
            m.d.sync += [size.eq(magnitude(biased)), negative.eq(biased[-1])]
        with m.If(self.enables[2]):
            m.d.sync += [Cat(mask, odd).eq(Cat(excess(m, size)))]
        with m.If(self.enables[3]):
            m.d.sync += rounded.eq(round_to_24_bits(held, mask, odd))
        return rounded, negative

    def _multiply(self, m, rounded):
        """Times the multiplier: four products of 16 by 12 bits, then two stages of addition."""
        half, quarter = 16, SIGNIFICANT // 2
        parts = [[Signal(half + quarter, name=f"part_{i}{j}", reset_less=True) for j in range(2)] for i in range(2)]
        pairs = [Signal(half + SIGNIFICANT, name=f"pair_{i}", reset_less=True) for i in range(2)]
        product = Signal(_PRODUCT, reset_less=True)
        with m.If(self.enables[self.SCALE_AT]):
            for i in range(2):
                for j in range(2):
                    m.d.sync += parts[i][j].eq(
                        rounded.word_select(i, half) * self.scale[:SIGNIFICANT].word_select(j, quarter))
        with m.If(self.enables[self.SCALE_AT + 1]):
            m.d.sync += [pair.eq(low + (high << quarter)) for pair, (low, high) in zip(pairs, parts, strict=True)]
        with m.If(self.enables[self.SCALE_AT + 2]):
            m.d.sync += product.eq(pairs[0] + (pairs[1] << half))
        return product

    def _shift(self, m, product, rounder):
        """To 26 fraction bits: by multiples of 16, then by the rest."""
        coarse, fine = self.enables[self.SHIFT_AT], self.enables[self.SHIFT_AT + 1]
        right = Signal(range(64))
        m.d.comb += right.eq(self.scale[SIGNIFICANT:] - MIN_SHIFT)
        right = carry(m, right, self.enables[self.SCALE_AT:self.SHIFT_AT])
        rest = carry(m, right[:_FINE], [coarse])
        window = Signal(_WINDOW, reset_less=True)
        lost, over = Signal(reset_less=True), Signal(reset_less=True)
        with m.If(coarse), m.Switch(right[_FINE:]):
            for step in range(4):
                with m.Case(step):
                    self._coarse(m, product, (step << _FINE) - (FRACTION - MIN_SHIFT), window, lost, over)
        kept = Signal(_KEPT, reset_less=True)
        sticky, saturated = Signal(reset_less=True), Signal(reset_less=True)
        below = ((1 << rest) - 1)[:(1 << _FINE) - 1]
        with m.If(fine):
            shifted = (window >> rest)[:_WINDOW]
            m.d.sync += [
                kept.eq(shifted), saturated.eq(over | shifted[_KEPT:].any()), sticky.eq(lost | (window & below).any()),
            ]
        m.d.comb += [
            Cat(rounder.fraction, rounder.whole).eq(kept), rounder.sticky.eq(sticky), rounder.saturated.eq(saturated),
        ]

    @staticmethod
    def _coarse(m, product, right, window, lost, over):
        """``product >> right`` into ``window``; ``right`` is a constant and may be negative."""
        shifted = product.shift_right(right) if right >= 0 else product.shift_left(-right)
        m.d.sync += [
            window.eq(shifted), over.eq(shifted[_WINDOW:].any() if len(shifted) > _WINDOW else 0),
            lost.eq(product[:right].any() if right > 0 else 0),
        ]
