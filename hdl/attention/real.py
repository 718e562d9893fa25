"""Positive float32 values in hardware, and their sum, rounded as IEEE 754 asks.

A value is a significand of 24 bits and an exponent field that is 1 where float32 has denormal numbers, whose significands
are less than 2**23; zero is significand 0.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from arrayloom.hdl.pipeline import data_register
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import SIGNIFICANT

FIELD = 8           # bits in an exponent field
GUARD = 2           # bits kept below the significand of an addend, in addition to the sticky bit
MOST_STAGES = 4     # of an addition: order, align, add, round
REAL = data.StructLayout({"significand": SIGNIFICANT, "exponent": FIELD})


def addition_stages(config: Config) -> int:
    """Cycles of an addition: 1, 2 or 4, at most those from one addition to a channel's sum to the next."""
    return min(config.size // config.attention_lanes, MOST_STAGES)


def of_bits(word: Value) -> Value:
    """The float32 value whose bits are given, its sign left out."""
    field, fraction = word[SIGNIFICANT - 1:SIGNIFICANT - 1 + FIELD], word[:SIGNIFICANT - 1]
    return Cat(fraction, field.any(), Mux(field.any(), field, 1))


def add(m: Module, name: str, one: Value, other: Value, enables: list[Value]) -> Value:
    """The sum of two values, rounded half to even, for a register at its end.

    ``enables`` are those of the registers before that one: none, one or three.
    """
    cuts = {0: (), 1: ("aligned",), 3: ("ordered", "aligned", "added")}[len(enables)]
    left = iter(enables)

    def step(label: str, *values: Value) -> list[Value]:
        if label not in cuts:       # signals all the same: terms that contain terms several times grow too long to simulate
            wires = [Signal.like(value, name=f"{name}_{label}_{place}") for place, value in enumerate(values)]
            m.d.comb += [wire.eq(value) for wire, value in zip(wires, values, strict=True)]
            return list(wires)
        enable = next(left)
        return [data_register(m, value, enable, f"{name}_{label}_{place}") for place, value in enumerate(values)]

    high, low, exponent, distance = step("ordered", *_order(one, other))
    high, kept, lost, exponent = step("aligned", high, *_align(low, distance), exponent)
    total, lost, exponent = step("added", ((high << GUARD) + kept)[:SIGNIFICANT + GUARD + 1], lost, exponent)
    return _round(total, lost, exponent)


def _order(one: Value, other: Value) -> tuple[Value, Value, Value, Value]:
    """The significands of the value with the larger exponent and of the other, that exponent, and the difference."""
    a, b = (data.View(REAL, value) for value in (one, other))
    swap = a.exponent < b.exponent
    high, low = Mux(swap, b.significand, a.significand), Mux(swap, a.significand, b.significand)
    distance = Mux(swap, b.exponent - a.exponent, a.exponent - b.exponent)[:FIELD]
    return high, low, Mux(swap, b.exponent, a.exponent), distance


def _align(low: Value, distance: Value) -> tuple[Value, Value]:
    """The lower significand with guard bits, shifted right, and whether bits of it were lost."""
    width = SIGNIFICANT + GUARD
    far = distance > width
    shifted = ((low << (width + GUARD)) >> distance[:5])[:2 * width]
    return Mux(far, 0, shifted[width:]), Mux(far, low, shifted[:width]).any()


def _round(total: Value, lost: Value, exponent: Value) -> Value:
    carry = total[-1]
    whole = Mux(carry, total[GUARD + 1:], total[GUARD:-1])
    half = Mux(carry, total[GUARD], total[GUARD - 1])
    rest = Mux(carry, total[:GUARD].any(), total[:GUARD - 1].any()) | lost
    rounded = (whole + (half & (rest | whole[0])))[:SIGNIFICANT + 1]
    significand = Mux(rounded[-1], rounded[1:], rounded[:SIGNIFICANT])
    return Cat(significand, (exponent + carry + rounded[-1])[:FIELD])
