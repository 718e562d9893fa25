"""Requantize: one lane's conversion of a 32-bit sum to a small integer, as ``arrayloom.isa.arithmetic.requantize`` defines
it."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.pipeline import delay
from arrayloom.hdl.post.rounding import RESULT, WHOLE, RoundWithTies, magnitude, round_to_24_bits, thermometer
from arrayloom.hdl.post.tokens import choose
from arrayloom.isa.arithmetic import FRACTION, MIN_SHIFT
from arrayloom.isa.instructions import SIGNIFICANT, ZERO_POINT

_KEPT = WHOLE + FRACTION            # width of magnitudes that are not saturated
_FINE = 4                           # bits of the shift handled by the second shifter
_WINDOW = _KEPT + (1 << _FINE) - 1  # bits that can still reach the kept ones after the coarse shift
_PRODUCT = 32 + SIGNIFICANT         # a sum, of SIGNIFICANT bits and zeros below, times a multiplier


class Requantize(Component):
    """rne(fl(fl(sum + bias) * scale)) + zero_point; the first addition wraps; magnitudes saturate at 511.

    Shifts from 14 to 63, or any with multiplier 0.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    sum : In(signed(32))
    bias : In(signed(32))
    scale : In(32)
        The scale word, ``SCALE_AT`` cycles after the sum.
    zero_point : In(signed(ZERO_POINT))
        When stage ``ZERO_POINT_AT`` works.
    result : Out(RESULT)
    """

    SCALE_AT = 4
    SHIFT_AT = SCALE_AT + 3
    ROUND_AT = SHIFT_AT + 2
    ZERO_POINT_AT = ROUND_AT + RoundWithTies.OFFSET_AT
    LATENCY = ROUND_AT + RoundWithTies.LATENCY

    enables: In(LATENCY)
    sum: In(signed(32))
    bias: In(signed(32))
    scale: In(32)
    zero_point: In(signed(ZERO_POINT))
    result: Out(RESULT)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rounded, negative = self._float(m)
        product = self._multiply(m, rounded)
        m.submodules.round = rounder = RoundWithTies()
        self._shift(m, product, rounder)
        m.d.comb += [
            rounder.enables.eq(self.enables[self.ROUND_AT:]), rounder.offset.eq(self.zero_point),
            rounder.negative.eq(delay(m, negative, self.enables[2:self.ROUND_AT])),
            self.result.eq(rounder.result),
        ]
        return m

    def _float(self, m: Module) -> tuple[Value, Value]:
        """Sum and bias as a magnitude of 24 significant bits, and the sign (two stages earlier)."""
        biased = delay(m, (self.sum + self.bias)[:32].as_signed(), self.enables[:1])
        size, negative = (delay(m, value, self.enables[1:2]) for value in (magnitude(biased), biased[-1]))
        held, mask = (delay(m, value, self.enables[2:3]) for value in (size, thermometer(size[SIGNIFICANT:])))
        return delay(m, round_to_24_bits(held, mask), self.enables[3:4]), negative

    def _multiply(self, m: Module, rounded: Value) -> Signal:
        """Multiplies: four products of 16 by 12 bits, then two stages of addition."""
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

    def _shift(self, m: Module, product: Value, rounder: RoundWithTies) -> None:
        """Shifts to 26 fraction bits: by a multiple of 16, then by the rest."""
        coarse, fine = self.enables[self.SHIFT_AT], self.enables[self.SHIFT_AT + 1]
        right = delay(m, (self.scale[SIGNIFICANT:] - MIN_SHIFT)[:6], self.enables[self.SCALE_AT:self.SHIFT_AT])
        rest = delay(m, right[:_FINE], [coarse])
        below = delay(m, ((1 << right[:_FINE]) - 1)[:(1 << _FINE) - 1], [coarse])
        window, shifted = Signal(_WINDOW, reset_less=True), Signal(_WINDOW, reset_less=True)
        lost, over, sticky, saturated = (Signal(name=name, reset_less=True)
                                         for name in ("lost", "over", "sticky", "saturated"))
        steps = [self._coarse(product, (step << _FINE) - (FRACTION - MIN_SHIFT)) for step in range(4)]
        with m.If(coarse):
            m.d.sync += [out.eq(choose(right[_FINE:], choices))
                         for out, choices in zip((window, lost, over), zip(*steps, strict=True), strict=True)]
        with m.If(fine):
            m.d.sync += [shifted.eq(window >> rest), saturated.eq(over), sticky.eq(lost | (window & below).any())]
        m.d.comb += [
            Cat(rounder.fraction, rounder.whole).eq(shifted), rounder.sticky.eq(sticky),
            rounder.saturated.eq(saturated | shifted[_KEPT:].any()),
        ]

    @staticmethod
    def _coarse(product: Value, right: int) -> tuple[Value, Value, Value]:
        """``product >> right`` by a constant that may be negative: the window, whether bits are lost below, or above."""
        shifted = product.shift_right(right) if right >= 0 else product.shift_left(-right)
        return shifted[:_WINDOW], product[:max(right, 0)].any(), shifted[_WINDOW:].any()
