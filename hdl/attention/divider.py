"""Quotients of float32 values, a digit in each stage of a pipeline."""

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import data

from arrayloom.hdl.attention.real import FIELD, REAL
from arrayloom.hdl.pipeline import data_register
from arrayloom.isa.instructions import SIGNIFICANT

BEFORE, AFTER = 3, 1        # stages before the first digit, and after the last


def division_stages(digits: int) -> int:
    """Cycles from ``value`` and ``total`` to their quotient."""
    return BEFORE + digits + AFTER


def quotient(m: Module, name: str, value: Value, factor: Value, total: Value, enables: list[Value], digits: int) -> Value:
    """``value * factor / total`` rounded half to even, in ``digits`` bits; what is more is all ones.

    ``value`` is at most ``total``. There are ``division_stages(digits)`` stages, ``enables`` those of what enters each.
    """
    v, t = (data.View(REAL, each) for each in (value, total))
    wide = SIGNIFICANT + len(factor)

    def register(term: Value, stage: int, label: str) -> Value:
        return data_register(m, term, enables[stage], f"{name}_{label}_{stage}")

    product = register((v.significand * factor)[:wide], 0, "product")
    significand, apart = register(t.significand, 0, "significand"), register((t.exponent - v.exponent)[:FIELD], 0, "apart")
    vanishes = register(apart > len(factor) + 1, 1, "vanishes")
    divisor = register((significand << apart[:5])[:wide + 1], 1, "divisor")
    product = register(product, 1, "product")
    over = register(~vanishes & (product >= (divisor << digits)), 2, "over")
    rest = register(Mux(vanishes, 0, product), 2, "rest")
    divisor = register(Mux(vanishes, 1, divisor), 2, "divisor")
    found: list[Value] = []         # digits, the highest first
    for digit in reversed(range(digits)):
        stage = BEFORE + digits - 1 - digit
        part = (divisor << digit)[:wide + digits]
        less = (rest - part)[:wide + digits + 1]
        fits = ~less[-1]
        rest = register(Mux(fits, less[:wide], rest), stage, "rest")
        found = [*(register(each, stage, f"digit_{place}") for place, each in enumerate(found)),
                 register(fits, stage, f"digit_{len(found)}")]
        divisor, over = register(divisor, stage, "divisor"), register(over, stage, "over")
    return register(_rounded(rest, divisor, found, over), BEFORE + digits, "rounded")


def _rounded(rest: Value, divisor: Value, found: list[Value], over: Value) -> Value:
    digits, whole = len(found), Cat(reversed(found))
    up = ((rest << 1) > divisor) | (((rest << 1) == divisor) & whole[0])
    return Mux(over | whole.all(), (1 << digits) - 1, whole + up)[:digits]
