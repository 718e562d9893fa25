"""Requantize in three parts between registers: the float of the sum, the product, and the shift with its rounding."""

import z3
from amaranth.hdl import C, Cat, Module, Mux, Value, signed
from proving import Fault, Harness, Method, Proof
from proving.algebra import Lemma, Wrong
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from proving.pipelined import Pipelined
from proving.rounding import named, nearest_even_by, to_24_bits

from arrayloom.hdl.post import requantize
from arrayloom.hdl.post.requantize import Requantize
from arrayloom.isa.arithmetic import MAX_SHIFT, MIN_SHIFT, SATURATED
from arrayloom.isa.instructions import SIGNIFICANT, ZERO_POINT

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

LARGEST = 1 << 31               # magnitude of a sum
MULTIPLIER = (1 << SIGNIFICANT) - 1
HALF, QUARTER = 16, SIGNIFICANT // 2    # bits of the factors' parts


class FloatOfSum(Pipelined):
    """``_float``: sum and bias, rounded to float32."""

    def describe(self) -> None:
        m, unit, made = self.m, self.borrowed(Requantize()), Module()
        self.begin(Requantize.SCALE_AT)
        total, bias = (self.at(0, name, signed(32)) for name in ("sum", "bias"))
        rounded, negative = unit._float(made)
        m.submodules.unit = made
        m.d.comb += [unit.enables.eq(self.enables(Requantize.SCALE_AT)), unit.sum.eq(total[1]), unit.bias.eq(bias[1])]
        wrapped = named(m, "wrapped", (total[0] + bias[0])[:32].as_signed())
        size = named(m, "size", Mux(wrapped < 0, -wrapped, wrapped)[:32])
        wanted = named(m, "wanted", to_24_bits(Cat(size, C(0, 1))))
        ends = self.marks[Requantize.SCALE_AT]
        self.claim("the magnitude is that of float32", ~ends | (rounded == wanted))
        self.claim("it is at most that of the least sum", ~ends | (rounded <= LARGEST))
        self.claim("the sign is that of the sum", ~self.marks[2] | (negative == (wrapped < 0)))


class Parts(Harness):
    """``_multiply``: the registers of the four small products."""

    def describe(self) -> None:
        unit, made = self.borrowed(Requantize()), Module()
        rounded = self.free("rounded", 32)
        unit._multiply(made, rounded)
        inside = self.place(made)
        self.drive(unit)
        enabled = self.past(unit.enables[Requantize.SCALE_AT])
        for i in range(2):
            for j in range(2):
                product = rounded.word_select(i, HALF) * unit.scale[:SIGNIFICANT].word_select(j, QUARTER)
                self.claim(f"part {i} {j} is its product", ~enabled | (inside[f"part_{i}{j}"] == self.past(product)))


class Sum(Harness):
    """``_multiply``: any four products, each shifted to its place and all added, without overflow."""

    def describe(self) -> None:
        unit, made = self.borrowed(Requantize()), Module()
        product = unit._multiply(made, self.free("rounded", 32))
        inside = self.place(made)
        self.drive(unit)
        whole = Value.cast(0)
        for i in range(2):
            for j in range(2):
                part = inside[f"part_{i}{j}"]
                self.assume(f"part {i} {j} is a product", part <= ((1 << HALF) - 1) * ((1 << QUARTER) - 1))
                whole = whole + Cat(C(0, HALF * i + QUARTER * j), part)
        adds, ends = (unit.enables[Requantize.SCALE_AT + step] for step in (1, 2))
        whole = self.past(self.past(whole))
        self.claim("the product is the sum of its parts", ~(self.past(self.past(adds)) & self.past(ends))
                   | (product == whole))
        self.cover("the product is large", product == (1 << 32 + SIGNIFICANT) - (1 << 32) - (1 << SIGNIFICANT) + 1)


class Tail(Pipelined):
    """``_shift`` and the following stages, for any product: rne(fl(product / 2**shift)) with the sign and the zero point."""

    def describe(self) -> None:
        m, unit, latency = self.m, Requantize(), Requantize.LATENCY
        self.begin(latency)
        product = self.at(Requantize.SHIFT_AT, "product", requantize._PRODUCT)
        unit._multiply = lambda *_: product[1]      # type: ignore[method-assign]
        self.place(unit)
        scale = self.at(Requantize.SCALE_AT, "scale", 32)
        total, bias = (self.at(0, name, signed(32)) for name in ("sum", "bias"))
        zero_point = self.at(Requantize.ZERO_POINT_AT, "zero_point", signed(ZERO_POINT))
        m.d.comb += [unit.enables.eq(self.enables(latency)), unit.sum.eq(total[1]), unit.bias.eq(bias[1]),
                     unit.scale.eq(scale[1]), unit.zero_point.eq(zero_point[1])]
        shift = named(m, "shift", scale[0][SIGNIFICANT:])
        self.assume("the shift is one of the ISA", (shift >= MIN_SHIFT) & (shift <= MAX_SHIFT))
        self.assume("the product is one of a sum and a multiplier", product[0] <= MULTIPLIER * LARGEST)
        in_24_bits = named(m, "in_24_bits", to_24_bits(Cat(product[0], C(0, 1))))
        rounded = named(m, "rounded", nearest_even_by(m, in_24_bits, shift[:6], MAX_SHIFT))
        size = Mux(rounded > SATURATED, SATURATED, rounded)
        negative = (total[0] + bias[0])[31]
        wanted = named(m, "wanted", Mux(negative, -size, size) + zero_point[0])
        self.claim("the result is the rounded quotient", ~self.marks[latency] | (unit.result == wanted))
        self.cover("it is rounded and not saturated", self.marks[latency] & (rounded == 300) & ~in_24_bits[0])



def _product(last_place: int = HALF + QUARTER, place: int = QUARTER) -> z3.BoolRef:
    """The product of a factor cut at 16 bits and one cut at 12."""
    a0, a1, b0, b1 = z3.Ints("a0 a1 b0 b1")
    parts = a0 * b0 + (a0 * b1) * 2**place + (a1 * b0) * 2**HALF + (a1 * b1) * 2**last_place
    whole: z3.BoolRef = (a0 + a1 * 2**HALF) * (b0 + b1 * 2**QUARTER) == parts
    return whole


PROOFS = [
    Proof("float of a sum", "post", "Requantize turns sum and bias into what float32 keeps of them, at most 2**31.",
          FloatOfSum,
          Method.FLUSH, Requantize.SCALE_AT, faults=[
              Fault("the bias is subtracted", Requantize._float, "self.sum + self.bias", "self.sum - self.bias"),
              Fault("the mask is a bit short", Requantize._float, "size[SIGNIFICANT:]", "size[SIGNIFICANT + 1:]")]),
    Proof("partial products", "post",
          "The multiplier of Requantize has in four registers the products of halves and quarters of its factors.",
          Parts, faults=[
              Fault("a factor is another", Requantize._multiply, "word_select(j, quarter)", "word_select(i, quarter)")]),
    Proof("sum of partial products", "post", "It adds four products of 16 by 12 bits in their places, without an overflow.",
          Sum, Method.FLUSH, 2, cover_depth=4, faults=[
              Fault("a place is wrong", Requantize._multiply, "pairs[1] << half", "pairs[1] << quarter"),
              Fault("a sum is too narrow", Requantize._multiply, "Signal(half + SIGNIFICANT", "Signal(SIGNIFICANT + 8")]),
    Lemma("product of parts", "post", "Those products in their places add up to the product, for all whole numbers.",
          _product, [Wrong("a place is wrong", lambda: _product(12)),
                     Wrong("a factor's part is", lambda: _product(28, 13))]),
    Proof("shift and rounding", "post",
          "After its multiplier Requantize is rne(fl(product / 2**shift)), saturated, with sign and zero point, for any "
          "product and shifts of 14 to 63.", Tail, Method.FLUSH, Requantize.LATENCY, cover_depth=13, slow=True,
          faults=[
              Fault("bits lost by the shift are ignored", Requantize._shift, "sticky.eq(lost | (window & below).any())",
                    "sticky.eq((window & below).any())"),
              Fault("the coarse shift is one less", Requantize._shift, "self.scale[SIGNIFICANT:] - MIN_SHIFT",
                    "self.scale[SIGNIFICANT:] - MIN_SHIFT - 1"),
              Fault("higher bits do not saturate", Requantize._shift, "saturated | shifted[_KEPT:].any()", "saturated"),
              Fault("the sign comes a cycle late", Requantize.elaborate, "self.enables[2:self.ROUND_AT]",
                    "self.enables[2:self.ROUND_AT + 1]")]),
]
