"""ResidualAdd: one lane's addition of a second byte, as ``arrayloom.isa.arithmetic.residual_add`` defines it."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, ValueLike, signed
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import bits_for

from arrayloom.hdl.pipeline import delay
from arrayloom.hdl.post.records import ADD_OFFSET, FACTORS, OPERANDS, RATIO_A, RATIO_B, SUM_CLAMP, SUM_OFFSET
from arrayloom.hdl.post.rounding import WHOLE, RoundWithTies, clamp, excess, magnitude, round_to_24_bits
from arrayloom.isa.arithmetic import FRACTION
from arrayloom.isa.instructions import ADD_FRACTION, BYTE_VALUES, OFFSET, PRODUCT_OFFSETS, RATIO, ZERO_POINT

_BYTE = BYTE_VALUES // 2
_LARGEST = _BYTE + (1 << ZERO_POINT - 1)            # magnitude of a byte plus an offset
_LARGEST_FACTOR = _BYTE - PRODUCT_OFFSETS[0]        # likewise in a product, whose offsets are negated zero points
_OPERAND = signed(ZERO_POINT + 1)
_FACTOR = signed(bits_for(_LARGEST_FACTOR ** 2) + 1)    # an operand, or the product of two
_PRODUCT = signed(OFFSET + 1)       # operand b's product plus the offset; a's is narrower
_TOTAL = signed(OFFSET + 2)         # that rounded, plus a's
assert _LARGEST < 1 << ZERO_POINT and _LARGEST < _LARGEST_FACTOR ** 2
# A product's ratio is below one and it has no offset; rounding is monotonic, so no value needs more bits.
assert max((_LARGEST << RATIO) + (1 << OFFSET - 1), _LARGEST_FACTOR ** 2 << ADD_FRACTION) < 1 << OFFSET
_SLICE = 15                         # bits of a ratio per multiplier


class ResidualAdd(Component):
    """clamp(residual_add(a + a_offset, b + b_offset) + sum_offset); a and b are ``own`` and ``other``, swapped or not.

    With ``multiply`` the sum is of ``product_zero`` and the product of the two. The constants are the instruction's; each
    must be valid when its stage (``OPERANDS_AT`` and so on) works.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    own : In(signed(8))
    other : In(signed(8))
    operands : In(OPERANDS)
    factors : In(FACTORS)
    ratio_b : In(RATIO_B)
    add_offset : In(ADD_OFFSET)
    ratio_a : In(RATIO_A)
    sum_offset : In(SUM_OFFSET)
    sum_clamp : In(SUM_CLAMP)
    result : Out(signed(8))
    """

    OPERANDS_AT = 0
    FACTORS_AT = OPERANDS_AT + 1
    RATIO_B_AT = FACTORS_AT + 1
    ADD_OFFSET_AT = RATIO_B_AT + 1
    EXCESS_AT = RATIO_B_AT + 3
    RATIO_A_AT = EXCESS_AT
    TOTAL_AT = EXCESS_AT + 3
    ROUND_AT = TOTAL_AT + 2
    SUM_OFFSET_AT = ROUND_AT + RoundWithTies.OFFSET_AT
    SUM_CLAMP_AT = ROUND_AT + RoundWithTies.LATENCY
    LATENCY = SUM_CLAMP_AT + 1

    enables: In(LATENCY)
    own: In(signed(8))
    other: In(signed(8))
    operands: In(OPERANDS)
    factors: In(FACTORS)
    ratio_b: In(RATIO_B)
    add_offset: In(ADD_OFFSET)
    ratio_a: In(RATIO_A)
    sum_offset: In(SUM_OFFSET)
    sum_clamp: In(SUM_CLAMP)
    result: Out(signed(8))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b = Signal(_OPERAND, reset_less=True), Signal(_OPERAND, reset_less=True)
        swap = self.operands.swap
        with m.If(self.enables[self.OPERANDS_AT]):
            m.d.sync += [
                a.eq(Mux(swap, self.other, self.own) + self.operands.a_offset),
                b.eq(Mux(swap, self.own, self.other) + self.operands.b_offset),
            ]
        first_term, factor = Signal(_OPERAND, reset_less=True), Signal(_FACTOR, reset_less=True)
        multiply = self.factors.multiply
        with m.If(self.enables[self.FACTORS_AT]):
            m.d.sync += [first_term.eq(Mux(multiply, self.factors.product_zero, a)), factor.eq(Mux(multiply, a * b, b))]
        inner = self._product(m, factor, self.ratio_b.ratio_b, self.RATIO_B_AT, self.add_offset.add_offset)
        late_a = delay(m, first_term, self.enables[self.RATIO_B_AT:self.RATIO_A_AT])
        outer = self._product(m, late_a, self.ratio_a.ratio_a, self.RATIO_A_AT, 0)
        first, last = self.EXCESS_AT, self.TOTAL_AT - 1
        mask = excess(m, inner, self.enables[first:last])
        held = delay(m, inner, self.enables[first:last])
        rounded = delay(m, round_to_24_bits(held, mask).as_signed(), self.enables[last:self.TOTAL_AT])
        total = Signal(_TOTAL, reset_less=True)
        with m.If(self.enables[self.TOTAL_AT]):
            m.d.sync += total.eq(outer + rounded)
        self._round_total(m, total)
        return m

    def _product(self, m: Module, value: Value, ratio: Value, first: int, addend: ValueLike) -> Signal:
        """``value * ratio + addend`` in three stages: products with slices of the ratio, two sums, their sum."""
        ends = [(start, min(start + _SLICE, RATIO)) for start in range(0, RATIO, _SLICE)]
        slices = [Signal(signed(value.shape().width + end - start), name=f"slice_{first}_{start}", reset_less=True)
                  for start, end in ends]
        low = Signal(signed(value.shape().width + 2 * _SLICE), name=f"low_{first}", reset_less=True)
        high, total = (Signal(_PRODUCT, name=f"{name}_{first}", reset_less=True) for name in ("high", "product"))
        with m.If(self.enables[first]):
            m.d.sync += [part.eq(value * ratio[start:end]) for part, (start, end) in zip(slices, ends, strict=True)]
        with m.If(self.enables[first + 1]):
            m.d.sync += [low.eq(slices[0] + (slices[1] << _SLICE)), high.eq((slices[2] << 2 * _SLICE) + addend)]
        with m.If(self.enables[first + 2]):
            m.d.sync += total.eq(low + high)
        return total

    def _round_total(self, m: Module, total: Value) -> None:
        m.submodules.round = rounder = RoundWithTies()
        at, point, dropped = self.ROUND_AT, ADD_FRACTION, ADD_FRACTION - FRACTION
        size, negative = (delay(m, value, self.enables[at - 1:at]) for value in (magnitude(total), total[-1]))
        result = Signal(signed(8), reset_less=True)
        m.d.comb += [
            rounder.enables.eq(self.enables[at:at + rounder.LATENCY]),
            rounder.whole.eq(size[point:]), rounder.saturated.eq(size[point + WHOLE:].any()),
            rounder.fraction.eq(size[dropped:]), rounder.sticky.eq(size[:dropped].any()),
            rounder.negative.eq(negative), rounder.offset.eq(self.sum_offset.sum_offset), self.result.eq(result),
        ]
        with m.If(self.enables[self.SUM_CLAMP_AT]):
            m.d.sync += result.eq(clamp(rounder.result, self.sum_clamp.add_low, self.sum_clamp.add_high))
