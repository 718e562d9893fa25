"""The roundings of ``isa.arithmetic``, cut so that each part fits a register stage."""

from amaranth.hdl import C, Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from isa.arithmetic import FRACTION, SATURATED, SIGNIFICANT

WHOLE = SATURATED.bit_length()      # bits of a magnitude that is not saturated
RESULT = signed(WHOLE + 1)


def carry(m, value, enables):
    """``value`` delayed by one stage for each of ``enables``."""
    for enable in enables:
        held = Signal.like(value, reset_less=True)
        with m.If(enable):
            m.d.sync += held.eq(value)
        value = held
    return value


def magnitude(value):
    """The absolute value, as wide as ``value``."""
    return Mux(value[-1], -value, value)[:len(value)]


def shared(m, value):
    """``value`` as a signal, so that what uses it twice does not compute it twice."""
    signal = Signal.like(value)
    m.d.comb += signal.eq(value)
    return signal


def smear(m, value):
    """Every bit at or below the highest one set."""
    step = 1
    while step < len(value):
        value = shared(m, value | value >> step)
        step *= 2
    return value


def excess(m, value):
    """What rounding a magnitude to 24 significant bits takes: ones at the low bits to drop, and whether the rest is odd.

    Not odd when nothing is dropped.
    """
    mask = smear(m, value[SIGNIFICANT:])
    lowest_kept = (mask << 1 | 1) ^ mask
    return mask, mask[0] & (value & lowest_kept).any()


def round_to_24_bits(value, mask, odd):
    """``isa.arithmetic.round_to_24_bits`` of a magnitude with room for the carry; ``mask`` and ``odd`` from ``excess``."""
    raised = (value + mask[1:] + odd)[:len(value)]
    return raised & ~(mask | C(0, len(value)))


def clamp(m, value, low, high):
    """``value`` within [low, high]."""
    value = shared(m, value)
    return Mux(value < low, low, Mux(value > high, high, value))


class RoundWithTies(Component):
    """``isa.arithmetic.round_with_ties``, and the sign.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i has a value.
    whole, fraction, sticky : In
        The magnitude. Ignored when ``saturated``.
    saturated : In(1)
        The magnitude is 512 or more.
    negative : In(1)
    result : Out(signed)
    """

    LATENCY = 2

    enables: In(LATENCY)
    whole: In(WHOLE)
    fraction: In(FRACTION)
    sticky: In(1)
    saturated: In(1)
    negative: In(1)
    result: Out(RESULT)

    def elaborate(self, platform):
        m = Module()
        below_half = FRACTION - 1
        rest, above = self.fraction[:below_half], self.fraction[below_half]
        inside = shared(m, smear(m, self.whole) << 1 | 1)   # the window less one
        window = inside ^ (inside << 1 | 1)
        tie_above = ~(rest & ~(inside | C(0, below_half))).any() | ((rest == window) & ~self.sticky)
        tie = Mux(above, tie_above, (rest | inside).all())
        whole, up, saturated, negative = Signal(WHOLE, reset_less=True), *(Signal(reset_less=True) for _ in range(3))
        with m.If(self.enables[0]):
            m.d.sync += [
                whole.eq(self.whole), up.eq(Mux(tie, self.whole[0], above)), saturated.eq(self.saturated),
                negative.eq(self.negative),
            ]
        rounded = Mux(saturated, SATURATED, (whole + (up & ~whole.all()))[:WHOLE])
        result = Signal(RESULT, reset_less=True)
        with m.If(self.enables[1]):
            m.d.sync += result.eq(Mux(negative, -rounded, rounded))
        m.d.comb += self.result.eq(result)
        return m
