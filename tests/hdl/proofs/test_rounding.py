"""The lanes' rounding compared with its definitions, at full width."""

from amaranth.hdl import Cat, Mux, Value, signed
from proving import Fault, Method, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from proving.pipelined import Pipelined
from proving.rounding import named, nearest_even, to_24_bits

from arrayloom.hdl.pipeline import delay
from arrayloom.hdl.post import residual
from arrayloom.hdl.post.rounding import (
    WHOLE,
    RoundWithTies,
    excess,
    round_to_24_bits,
    thermometer,
)
from arrayloom.isa.arithmetic import FRACTION, SATURATED
from arrayloom.isa.instructions import SIGNIFICANT, ZERO_POINT

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class WithTies(Pipelined):
    """Two consecutive float32 roundings: to 24 bits, then to an integer; saturated, signed, and with the offset added."""

    def describe(self) -> None:
        m, unit, latency = self.m, RoundWithTies(), RoundWithTies.LATENCY
        self.place(unit)
        self.begin(latency)
        whole, fraction, sticky, saturated, negative = (self.at(0, name, getattr(unit, name).shape()) for name in (
            "whole", "fraction", "sticky", "saturated", "negative"))
        offset = self.at(RoundWithTies.OFFSET_AT, "offset", signed(ZERO_POINT))
        m.d.comb += [unit.whole.eq(whole[1]), unit.fraction.eq(fraction[1]), unit.sticky.eq(sticky[1]),
                     unit.saturated.eq(saturated[1]), unit.negative.eq(negative[1]), unit.offset.eq(offset[1]),
                     unit.enables.eq(self.enables(latency))]
        value = named(m, "value", Cat(sticky[0], fraction[0], whole[0], Value.cast(0)))
        rounded = named(m, "rounded", nearest_even(named(m, "in_24_bits", to_24_bits(value)), FRACTION + 1))
        size = named(m, "size", Mux(saturated[0] | (rounded > SATURATED), SATURATED, rounded)[:WHOLE + 1])
        wanted = Mux(negative[0], -size, size) + offset[0]
        self.claim("the result is the rounded value", ~self.marks[latency] | (unit.result == wanted))


class To24Bits(Pipelined):
    """The magnitude of a 32-bit sum, as in ``Requantize``."""

    def describe(self) -> None:
        value = self.free("value", 32)
        got = round_to_24_bits(value, thermometer(value[SIGNIFICANT:]))
        self.assume("it is a magnitude of 32 bits with a sign", value <= 1 << 31)
        self.claim("the bits are those of float32", named(self.m, "got", got) == to_24_bits(Cat(value, Value.cast(0))))
        self.cover("it is the largest", value == 1 << 31)


class Excess(Pipelined):
    """A signed product with an offset, as in ``ResidualAdd``: ``excess`` reads the bits of negative values."""

    def describe(self) -> None:
        m = self.m
        self.begin(3)
        own, value = self.at(0, "value", residual._PRODUCT)
        enables = self.enables(3)
        mask = excess(m, value, enables)
        held = delay(m, value, enables[:2])
        got = delay(m, round_to_24_bits(held, mask).as_signed(), enables[2:])
        size = named(m, "size", Mux(own < 0, -own, own)[:len(own)])
        rounded = named(m, "rounded", to_24_bits(size))
        limit = max((residual._LARGEST << residual.RATIO) + (1 << residual.OFFSET - 1),
                    residual._LARGEST_FACTOR ** 2 << residual.ADD_FRACTION)
        self.assume("it is one of the products with offset", size <= limit)
        self.claim("the bits are those of float32", ~self.marks[3] | (got == Mux(own < 0, -rounded, rounded)))
        self.cover("it is negative and large", self.marks[3] & (own < -limit + 100))


PROOFS = [
    Proof("rounding with ties", "post",
          "RoundWithTies is two float32 roundings, saturation, sign and offset, for every magnitude of 35 bits and sticky "
          "bit.",
          WithTies, Method.FLUSH, RoundWithTies.LATENCY, faults=[
              Fault("ties go up", RoundWithTies.elaborate, "Mux(tie, odd, above)", "Mux(tie, above, above)"),
              Fault("the window's edge ignores what is below", RoundWithTies.elaborate, "((rest == window) & ~sticky)",
                    "(rest == window)"),
              Fault("the largest rounds up", RoundWithTies.elaborate, "above) & ~largest", "above)")]),
    Proof("rounding to 24 bits", "post", "round_to_24_bits keeps of any sum what float32 keeps of it.", To24Bits,
          Method.FLUSH, 0, cover_depth=1, faults=[
              Fault("ties go up", round_to_24_bits, "Mux(tie, lowest_kept, 0)", "0"),
              Fault("a bit too much is dropped", round_to_24_bits, "(mask << 1 | 1) ^ mask", "mask")]),
    Proof("excess of signed values", "post",
          "excess and round_to_24_bits round every signed product of the residual add as float32 does.", Excess,
          Method.FLUSH, 3, faults=[
              Fault("the sign is ignored", excess, "neighbours(~high, 1)", "neighbours(high, 1)"),
              Fault("a neighbour is left out", excess, "n * n >= len(high)", "n * n + n >= len(high)")]),
]
