"""A lane of the layer normalization: from a byte and the moments of its pixel to a normalized sum."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value

from arrayloom.hdl.attention.sums import SUM_BITS
from arrayloom.hdl.pipeline import data_register, delay
from arrayloom.isa.instructions import SIGNIFICANT

DIFFERENCE = 24         # bits in the magnitude of a difference
HALF = SIGNIFICANT // 2
PRODUCT = DIFFERENCE + SIGNIFICANT
LANE = 11               # cycles from a byte to its sum


def normalized(m: Module, name: str, byte: Value, sign: Value, channels: Value, kept: Any, enables: list[Value]) -> Value:
    """``sign * rne(fl((channels * byte - total) * significand) / 2**shift)``, ``LANE`` stages later.

    ``kept`` holds ``total``, ``significand`` and ``shift`` and is, like ``channels``, that of the byte's pixel;
    ``enables`` are those of what enters each stage.
    """
    def register(term: Value, stage: int, label: str) -> Value:
        return data_register(m, term, enables[stage], f"{name}_{label}_{stage}")

    def late(term: Value, first: int, last: int, label: str) -> Value:
        return Value.cast(delay(m, term, enables[first:last], f"{name}_{label}"))

    scaled = register(byte.as_signed() * channels, 0, "scaled")
    total, significand, shift = (late(each, 0, last, label) for each, last, label in (
        (kept.total, 1, "total"), (kept.significand, 3, "significand"), (kept.shift, 7, "shift")))
    difference = register((scaled.as_signed() - total.as_signed())[:DIFFERENCE + 1], 1, "difference")
    negative = difference[-1]
    magnitude = register(Mux(negative, -difference.as_signed(), difference)[:DIFFERENCE], 2, "magnitude")
    minus = late(negative ^ late(sign[-1], 0, 2, "sign"), 2, 10, "minus")
    nothing = late(sign == 0, 0, 10, "nothing")
    product = _product(magnitude, significand, register)
    normal, zeros = _without_zeros(product, (32, 16))
    normal, zeros = register(normal, 5, "normal"), register(zeros, 5, "zeros")
    normal, more = _without_zeros(normal, (8, 4, 2, 1))
    normal, zeros = register(normal, 6, "normal"), register(zeros + more, 6, "zeros")
    # The product is normal * 2**-zeros; its window has SIGNIFICANT fraction bits.
    significant, places = register(_rounded(normal), 7, "significant"), register((PRODUCT - zeros) - shift, 7, "places")
    placed = (significant << places[:6])[:SIGNIFICANT + SUM_BITS]
    window = register(Mux(places[-1], 0, placed), 8, "window")
    whole, lost = window[SIGNIFICANT:], window[:SIGNIFICANT]
    half = lost[-1] & (lost[:-1].any() | whole[0])
    whole = register((whole + half)[:SUM_BITS], 9, "whole")
    return register(Mux(nothing, 0, Mux(minus, -whole, whole))[:SUM_BITS], 10, "normalized")


def _product(one: Value, other: Value, register: Any) -> Value:
    """Of 24 bits by 24, in two stages: the products of halves, then their sum."""
    low, high = (one[:HALF], other[:HALF]), (one[HALF:], other[HALF:])
    lows, highs = register(low[0] * low[1], 3, "lows"), register(high[0] * high[1], 3, "highs")
    one_way, other_way = register(low[0] * high[1], 3, "one_way"), register(high[0] * low[1], 3, "other_way")
    return Value.cast(register((Cat(lows, highs) + ((one_way + other_way) << HALF))[:PRODUCT], 4, "product"))


def _without_zeros(value: Value, steps: tuple[int, ...]) -> tuple[Value, Value]:
    """``value`` shifted left by as many of ``steps`` as it has leading zeros, and by how much."""
    bits, taken = len(value), []
    for step in steps:
        none = ~value[bits - step:].any()
        value = Mux(none, (value << step)[:bits], value)
        taken.append(none)
    return value, Cat(Const(0, min(steps).bit_length() - 1), reversed(taken))


def _rounded(value: Value) -> Value:
    """The upper ``SIGNIFICANT`` bits, rounded half to even, with a bit for a carry."""
    high, low = value[PRODUCT - SIGNIFICANT:], value[:PRODUCT - SIGNIFICANT]
    return (high + (low[-1] & (low[:-1].any() | high[0])))[:SIGNIFICANT + 1]
