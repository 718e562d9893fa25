"""The roundings of ``arrayloom.isa.arithmetic``, divided into register stages.

Values used twice are registered: a simulator evaluates logic with a single enabled register as its reader only when that
is enabled, but shared logic in every cycle.
"""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Value, signed
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.pipeline import delay
from arrayloom.isa.arithmetic import FRACTION, SATURATED
from arrayloom.isa.instructions import SIGNIFICANT, ZERO_POINT

WHOLE = SATURATED.bit_length()      # width of magnitudes that are not saturated
RESULT = signed(WHOLE + 2)
assert 1 << WHOLE + 1 > SATURATED + (1 << ZERO_POINT - 1), "a magnitude and an offset must fit"


def magnitude(value: Value) -> Value:
    """The absolute value, as wide as ``value``."""
    return Mux(value[-1], -value, value)[:len(value)]


def clamp(value: Value, low: Value, high: Value) -> Value:
    """``value`` within [low, high]."""
    return Mux(value < low, low, Mux(value > high, high, value))


def thermometer(value: Value) -> Value:
    """All bits at or below the highest set bit; a tree, since a chain with one step per bit would limit the clock."""
    reach = 1
    while reach < len(value):
        value |= value.shift_right(reach)
        reach *= 2
    return value


def excess(m: Module, value: Value, enables: Value) -> Value:
    """Ones at the low bits of signed ``value`` that rounding to 24 significant bits drops; two stages.

    Each stage ORs five or six adjacent bits. Negative values are inverted bitwise, which differs from
    their magnitude only if all relevant bits are zero.
    """
    high = value[SIGNIFICANT:-1]
    reach = next(n for n in range(1, len(high) + 1) if n * n >= len(high))

    def neighbours(bits: Value, distance: int) -> Value:
        return reduce(or_, [bits.shift_right(distance * step) for step in range(reach)])

    near = delay(m, Mux(value[-1], neighbours(~high, 1), neighbours(high, 1)), enables[0:1])
    return delay(m, neighbours(near, reach), enables[1:2])


def round_to_24_bits(value: Value, mask: Value) -> Value:
    """``arrayloom.isa.arithmetic.round_to_24_bits``: ``mask`` has ones at the bits to drop.

    Rounds halves up and then makes the result of a tie even, so the sum does not have to wait for the detection of a tie.
    """
    half, lowest_kept = mask ^ (mask >> 1), (mask << 1 | 1) ^ mask
    tie = mask[0] & ~((value ^ half) & mask).any()
    raised = (value + half)[:len(value)]
    return raised & ~(mask | Mux(tie, lowest_kept, 0) | C(0, len(value)))


class RoundWithTies(Component):
    """``arrayloom.isa.arithmetic.round_with_ties``, the sign, and an addition.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    whole : In(WHOLE)
        The magnitude, like the next two. Ignored when ``saturated``.
    fraction : In(FRACTION)
    sticky : In(1)
        A bit below the fraction is set.
    saturated : In(1)
        The magnitude is 512 or more.
    negative : In(1)
        The sign of the value.
    offset : In(signed(ZERO_POINT))
        When stage ``OFFSET_AT`` works.
    result : Out(RESULT)
        The rounded value plus the offset.
    """

    OFFSET_AT = 2
    LATENCY = OFFSET_AT + 1

    enables: In(LATENCY)
    whole: In(WHOLE)
    fraction: In(FRACTION)
    sticky: In(1)
    saturated: In(1)
    negative: In(1)
    offset: In(signed(ZERO_POINT))
    result: Out(RESULT)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        below_half = FRACTION - 1
        inside = delay(m, Cat(C(1, 1), thermometer(self.whole)), self.enables[:1])      # the window less one
        reach = WHOLE + 2   # bits of the window; the fraction's other bits are checked one stage earlier
        beyond = self.fraction[reach:below_half]
        most = self.saturated | self.whole.all()    # no magnitude is larger
        kept, sticky, any_beyond, all_beyond, largest = (delay(m, value, self.enables[:1]) for value in (
            Cat(self.fraction, self.whole), self.sticky, beyond.any(), beyond.all(), most))
        negative = delay(m, self.negative, self.enables[:2])
        rest, above, odd = kept[:reach], kept[below_half], kept[FRACTION]
        window = inside ^ (inside << 1 | 1)
        tie_above = ~any_beyond & (~(rest & ~(inside | C(0, reach))).any() | ((rest == window) & ~sticky))
        tie = Mux(above, tie_above, all_beyond & (rest | inside).all())
        up = delay(m, Mux(tie, odd, above) & ~largest, self.enables[1:2])
        whole = delay(m, kept[FRACTION:] | largest.replicate(WHOLE), self.enables[1:2])
        # -(whole + up) equals ~whole + (1 - up): in both cases one addition with a carry-in
        inverted = (Cat(whole, C(0, 1)) ^ negative.replicate(WHOLE + 1)).as_signed()
        total = (Cat(C(1, 1), self.offset).as_signed() + Cat(up ^ negative, inverted).as_signed())[1:]
        m.d.comb += self.result.eq(delay(m, total[:RESULT.width].as_signed(), self.enables[self.OFFSET_AT:]))
        return m
