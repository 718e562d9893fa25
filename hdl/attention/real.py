"""Positive float32 values in hardware: sums and quotients, each rounded as IEEE 754 asks.

A value is a significand of 24 bits and an exponent field that is 1 where float32 has denormal numbers, whose significands
are less than 2**23; zero is significand 0.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from arrayloom.isa.instructions import SIGNIFICANT

FIELD = 8           # bits in an exponent field
GUARD = 2           # bits kept below the significand of an addend, in addition to the sticky bit
REAL = data.StructLayout({"significand": SIGNIFICANT, "exponent": FIELD})


def of_bits(word: Value) -> Value:
    """The float32 value whose bits are given, its sign left out."""
    field, fraction = word[SIGNIFICANT - 1:SIGNIFICANT - 1 + FIELD], word[:SIGNIFICANT - 1]
    return Cat(fraction, field.any(), Mux(field.any(), field, 1))


def add(m: Module, name: str, one: Value, other: Value) -> data.View:
    """The sum of two values, rounded half to even, in the same cycle."""
    a, b = (data.View(REAL, value) for value in (one, other))
    high, low = Signal(REAL, name=f"{name}_high"), Signal(REAL, name=f"{name}_low")
    swap = a.exponent < b.exponent
    m.d.comb += [high.eq(Mux(swap, Value.cast(b), Value.cast(a))), low.eq(Mux(swap, Value.cast(a), Value.cast(b)))]
    distance = Signal(FIELD, name=f"{name}_distance")
    width = SIGNIFICANT + GUARD
    m.d.comb += distance.eq(high.exponent - low.exponent)
    far = distance > width
    shifted = Signal(2 * width, name=f"{name}_shifted")
    m.d.comb += shifted.eq(Mux(far, low.significand, (low.significand << (width + GUARD)) >> Mux(far, 0, distance)))
    kept, lost = Mux(far, 0, shifted[width:]), shifted[:width].any()
    total = Signal(width + 1, name=f"{name}_total")
    m.d.comb += total.eq((high.significand << GUARD) + kept)
    carry = total[-1]
    whole = Mux(carry, total[GUARD + 1:], total[GUARD:width])
    half = Mux(carry, total[GUARD], total[GUARD - 1])
    rest = Mux(carry, total[:GUARD].any(), total[:GUARD - 1].any()) | lost
    rounded = Signal(SIGNIFICANT + 1, name=f"{name}_rounded")
    m.d.comb += rounded.eq(whole + (half & (rest | whole[0])))
    result = Signal(REAL, name=f"{name}_sum")
    m.d.comb += [
        result.significand.eq(Mux(rounded[-1], rounded[1:], rounded)),
        result.exponent.eq(high.exponent + carry + rounded[-1]),
    ]
    return result


def quotient(m: Module, name: str, value: Value, factor: Value, total: Value, enables: list[Value], digits: int) -> Value:
    """``value * factor / total`` rounded half to even, in ``digits`` bits; what is more is all ones.

    ``value`` is at most ``total``. A digit is found in each stage; there are ``digits + 2`` stages, ``enables`` those of
    what enters each.
    """
    v, t = (data.View(REAL, each) for each in (value, total))
    wide = SIGNIFICANT + len(factor)
    product = Signal(wide, name=f"{name}_product", reset_less=True)
    divisor = Signal(wide + 1, name=f"{name}_divisor", reset_less=True)
    vanishes = Signal(name=f"{name}_vanishes", reset_less=True)
    apart = Signal(FIELD, name=f"{name}_apart")
    m.d.comb += apart.eq(t.exponent - v.exponent)
    with m.If(enables[0]):
        m.d.sync += [product.eq(v.significand * factor), divisor.eq(t.significand << apart[:5]),
                     vanishes.eq(apart > len(factor) + 1)]
    rest = Signal(wide, name=f"{name}_rest_{digits}", reset_less=True)
    found = Signal(digits, name=f"{name}_found_{digits}", reset_less=True)
    divides = Signal.like(divisor, name=f"{name}_divides_{digits}", reset_less=True)
    over = Signal(name=f"{name}_over_{digits}", reset_less=True)
    with m.If(enables[1]):
        m.d.sync += [rest.eq(Mux(vanishes, 0, product)), found.eq(0), divides.eq(Mux(vanishes, 1, divisor)),
                     over.eq(~vanishes & (product >= (divisor << digits)))]
    for digit in reversed(range(digits)):
        before = rest, found, divides, over
        rest, found, divides, over = (
            Signal.like(each, name=f"{name}_{what}_{digit}", reset_less=True)
            for each, what in zip(before, ("rest", "found", "divides", "over"), strict=True))
        fits = Signal(name=f"{name}_fits_{digit}")
        m.d.comb += fits.eq(before[0] >= (before[2] << digit))
        with m.If(enables[digits - digit + 1]):
            m.d.sync += [rest.eq(Mux(fits, before[0] - (before[2] << digit), before[0])),
                         found.eq(before[1] | (fits << digit)), divides.eq(before[2]), over.eq(before[3])]
    twice = rest << 1
    up = (twice > divides) | ((twice == divides) & found[0])
    return Mux(over | found.all(), (1 << digits) - 1, found + up)


def rounded_to_real(value: Value) -> Value:
    """A whole number rounded to ``SIGNIFICANT`` bits, half to even; its value stays."""
    bits = len(value)
    result: Value = value
    for top in range(SIGNIFICANT, bits):        # the highest bit, of which the last that is set counts
        drop = top - SIGNIFICANT + 1
        kept = value[drop:]
        up = value[drop - 1] & (value[:drop - 1].any() | value[drop])
        result = Mux(value[top], (kept + up) << drop, result)
    return result


def nearest(value: Value, shift: Value) -> Value:
    """``value`` shifted right, rounded half to even."""
    bits = len(value)
    shifted = Cat(Const(0, 1 << len(shift)), value) >> shift
    below = 1 << len(shift)
    whole, lost = shifted[below:below + bits], shifted[:below]
    return whole + (lost[-1] & (lost[:-1].any() | whole[0]))
