"""ResidualAdd: one lane's addition of a second byte, as ``isa.arithmetic.residual_add`` defines it."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from hdl.post.records import ADD_OFFSET, OPERANDS, RATIO_A, RATIO_B, SUM_CLAMP
from hdl.post.rounding import WHOLE, RoundWithTies, carry, clamp, excess, magnitude, round_to_24_bits
from isa.arithmetic import FRACTION, SIGNIFICANT
from isa.instructions import ADD_FRACTION, OFFSET, RATIO

_OPERAND = signed(10)               # a byte plus an offset of 9 bits
_INNER = OFFSET + 1                 # bits of operand b's product plus the offset
_TOTAL = OFFSET + 2
_SLICE = 15                         # bits of a ratio that one multiplier takes


class ResidualAdd(Component):
    """clamp(residual_add(a + a_offset, b + b_offset) + sum_offset); a and b are ``own`` and ``other``, swapped or not.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    own, other : In(signed(8))
    operands, ratio_b, add_offset, ratio_a, sum_clamp : In
        The instruction's constants, each valid when its stage (``OPERANDS_AT`` and so on) works.
    result : Out(signed(8))
    """

    OPERANDS_AT = 0
    RATIO_B_AT = 1
    ADD_OFFSET_AT = 2
    MAGNITUDE_AT = 4
    RATIO_A_AT = 4
    TOTAL_AT = 7
    ROUND_AT = 9
    SUM_CLAMP_AT = ROUND_AT + RoundWithTies.LATENCY
    LATENCY = SUM_CLAMP_AT + 1

    enables: In(LATENCY)
    own: In(signed(8))
    other: In(signed(8))
    operands: In(OPERANDS)
    ratio_b: In(RATIO_B)
    add_offset: In(ADD_OFFSET)
    ratio_a: In(RATIO_A)
    sum_clamp: In(SUM_CLAMP)
    result: Out(signed(8))

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(_OPERAND, reset_less=True), Signal(_OPERAND, reset_less=True)
        swap = self.operands.swap
        with m.If(self.enables[self.OPERANDS_AT]):
            m.d.sync += [
                a.eq(Mux(swap, self.other, self.own) + self.operands.a_offset),
                b.eq(Mux(swap, self.own, self.other) + self.operands.b_offset),
            ]
        inner = self._product(m, b, self.ratio_b.ratio_b, self.RATIO_B_AT, self.add_offset.add_offset)
        rounded, negative = self._round_inner(m, inner)
        late_a = carry(m, a, self.enables[self.RATIO_B_AT:self.RATIO_A_AT])
        outer = self._product(m, late_a, self.ratio_a.ratio_a, self.RATIO_A_AT, 0)
        total = Signal(signed(_TOTAL), reset_less=True)
        with m.If(self.enables[self.TOTAL_AT]):
            m.d.sync += total.eq(outer + Mux(negative, -rounded, rounded))
        self._round_total(m, total)
        return m

    def _product(self, m, value, ratio, first, addend):
        """``value * ratio + addend`` in three stages: slices of the ratio, two sums, their sum."""
        slices = [Signal(signed(_OPERAND.width + _SLICE), name=f"slice_{first}_{i}", reset_less=True) for i in range(3)]
        low, high, total = (
            Signal(signed(_INNER), name=f"{name}_{first}", reset_less=True) for name in ("low", "high", "product"))
        with m.If(self.enables[first]):
            for i, part in enumerate(slices):
                m.d.sync += part.eq(value * ratio[i * _SLICE:min((i + 1) * _SLICE, RATIO)])
        with m.If(self.enables[first + 1]):
            m.d.sync += [low.eq(slices[0] + (slices[1] << _SLICE)), high.eq((slices[2] << 2 * _SLICE) + addend)]
        with m.If(self.enables[first + 2]):
            m.d.sync += total.eq(low + high)
        return total

    def _round_inner(self, m, inner):
        """To 24 significant bits: magnitude and sign."""
        at = self.MAGNITUDE_AT
        size, rounded = Signal(OFFSET, reset_less=True), Signal(OFFSET, reset_less=True)
        mask, odd = Signal(OFFSET - SIGNIFICANT, reset_less=True), Signal(reset_less=True)
        with m.If(self.enables[at]):
            m.d.sync += size.eq(magnitude(inner))
        with m.If(self.enables[at + 1]):
            m.d.sync += [Cat(mask, odd).eq(Cat(excess(m, size)))]
        held = carry(m, size, [self.enables[at + 1]])
        with m.If(self.enables[at + 2]):
            m.d.sync += rounded.eq(round_to_24_bits(held, mask, odd))
        return rounded, carry(m, inner[-1], self.enables[at:at + 3])

    def _round_total(self, m, total):
        m.submodules.round = rounder = RoundWithTies()
        at, point, dropped = self.ROUND_AT, ADD_FRACTION, ADD_FRACTION - FRACTION
        size, negative = Signal(_TOTAL - 1, reset_less=True), Signal(reset_less=True)
        with m.If(self.enables[at - 1]):
            m.d.sync += [size.eq(magnitude(total)), negative.eq(total[-1])]
        result = Signal(signed(8), reset_less=True)
        limits = self.sum_clamp
        m.d.comb += [
            rounder.enables.eq(self.enables[at:at + rounder.LATENCY]),
            rounder.whole.eq(size[point:]), rounder.saturated.eq(size[point + WHOLE:].any()),
            rounder.fraction.eq(size[dropped:]), rounder.sticky.eq(size[:dropped].any()),
            rounder.negative.eq(negative), self.result.eq(result),
        ]
        with m.If(self.enables[self.SUM_CLAMP_AT]):
            m.d.sync += result.eq(clamp(m, rounder.result + limits.sum_offset, limits.add_low, limits.add_high))
