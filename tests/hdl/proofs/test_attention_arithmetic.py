"""Float32 sums and quotients of the ATTENTION unit compared with their definitions by whole numbers, at full width."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data
from proving import Fault, Harness, Inside, Method, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from proving.pipelined import Pipelined
from proving.rounding import named, nearest_even

from arrayloom.hdl.attention import divider, real
from arrayloom.hdl.attention.divider import BEFORE, division_stages, quotient
from arrayloom.hdl.attention.real import FIELD, REAL, add
from arrayloom.hdl.attention.softmax import DIGITS
from arrayloom.isa.instructions import FACTOR, SIGNIFICANT

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

NEAR = 27       # places between two addends; of one further away no bit is left, nor does it round the other
BITS = SIGNIFICANT + FIELD
LARGEST_FIELD = 254     # of a finite value


def _is_float32(value: data.View) -> Value:
    return value.exponent.any() & (value.exponent <= LARGEST_FIELD) & _is_normalized(value)


def _is_normalized(value: data.View) -> Value:
    return value.significand[-1] | (value.exponent == 1)


class Additions(Harness):
    """Any two values; what is exact is written in units of the last place of the smaller exponent."""

    def describe(self) -> None:
        m = self.m
        one, other = (self.free(name, BITS) for name in ("one", "other"))
        a, b = (data.View(REAL, value) for value in (one, other))
        result = data.View(REAL, named(m, "result", add(m, "sum", one, other, [])))
        swap = a.exponent < b.exponent
        high, low = (named(m, name, value) for name, value in (
            ("high", Mux(swap, other, one)), ("low", Mux(swap, one, other))))
        upper, lower = data.View(REAL, high), data.View(REAL, low)
        distance = named(m, "distance", (upper.exponent - lower.exponent)[:FIELD])
        carry = named(m, "carry", result.exponent != upper.exponent)
        got = named(m, "got", Mux(carry, result.significand << 1, result.significand))
        self.assume("both are finite float32 values", _is_float32(a) & _is_float32(b))
        for places in range(NEAR + 1):
            exact = named(m, f"exact_{places}", (upper.significand << places) + lower.significand)
            longer = exact[SIGNIFICANT + places:].any()
            rounded = Mux(longer, nearest_even(exact, places + 1) << 1, nearest_even(exact, places))
            self.claim(f"{places} places apart, the sum is rounded once, half to even",
                       (distance != places) | (got == rounded))
        self.claim("a value far from a larger one does not change it", (distance <= NEAR) | (result.as_value() == high))
        self.claim("the exponent is that of the larger or one more", (result.exponent == upper.exponent)
                   | (result.exponent == upper.exponent + 1))
        self.claim("the significand is that of a float32 value", _is_normalized(result))
        self.cover("two denormal numbers become a normal one", ~a.significand[-1] & ~b.significand[-1]
                   & result.significand[-1])


class Stages(Pipelined):
    """Additions in several stages, among others, compared with one in a single stage."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.stages = stages

    def describe(self) -> None:
        m, last = self.m, self.stages - 1
        self.begin(last)
        (one, one_given), (other, other_given) = (self.at(0, name, BITS) for name in ("one", "other"))
        result = named(m, "result", add(m, "sum", one_given, other_given, list(self.valid[:last])))
        at_once = named(m, "at_once", add(m, "at_once", one, other, []))
        self.claim("the sum is that of one stage", ~self.marks[last] | (result == at_once))


class Divider(Elaboratable):
    """The pipeline as a unit of its own."""

    def __init__(self) -> None:
        self.value, self.total = (Signal(BITS, name=name) for name in ("value", "total"))
        self.factor, self.enables = Signal(FACTOR), Signal(division_stages(DIGITS))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        quotient(m, "q", self.value, self.factor, self.total, list(self.enables), DIGITS)
        return m


class Quotients(Harness):
    """Each stage, with any content of the one before: remainder and digits stay those of one division."""

    def describe(self) -> None:
        m, unit = self.m, Divider()
        self.inside: Inside = self.place(unit)
        for port in (unit.value, unit.total, unit.factor, unit.enables):
            m.d.comb += port.eq(self.free(f"any_{port.name}", port.shape()))
        self.enables = unit.enables
        value, total = data.View(REAL, unit.value), data.View(REAL, unit.total)
        product, apart = Signal(SIGNIFICANT + FACTOR, name="product"), Signal(FIELD, name="apart")
        with m.If(self.enables[0]):
            m.d.sync += [product.eq(value.significand * unit.factor), apart.eq(total.exponent - value.exponent)]
        self._goes(0, "the product is that of significand and factor", self._of("product", 0) == product)
        self._goes(0, "exponents are subtracted", self._of("apart", 0) == apart)
        self._aligns()
        self._begins()
        for digit in range(DIGITS):
            self._divides(digit)
        self._rounds()

    def _of(self, name: str, stage: int) -> Value:
        return self.inside[f"q_{name}_{stage}"]

    def _before(self, name: str, stage: int) -> Value:
        return self.past(self._of(name, stage - 1), f"{name}_before_{stage}")

    def _goes(self, stage: int, name: str, condition: Any) -> None:
        self.claim(name, ~self.past(self.enables[stage]) | condition)

    def _aligns(self) -> None:
        significand, apart, product = (self._before(name, 1) for name in ("significand", "apart", "product"))
        vanishes, divisor = self._of("vanishes", 1), self._of("divisor", 1)
        normal = significand[-1]
        self._goes(1, "the divisor is in units of the product", vanishes | (divisor == significand << apart[:5]))
        self._goes(1, "and does not lose bits", vanishes | (apart <= FACTOR + 1))
        self._goes(1, "what vanishes is less than a half", ~vanishes | ~normal | (
            (apart >= FACTOR + 2) & ((product << 1) < (significand << FACTOR + 2))))
        self._goes(1, "the product stays", self._of("product", 1) == product)

    def _begins(self) -> None:
        product, divisor, vanishes = (self._before(name, 2) for name in ("product", "divisor", "vanishes"))
        over, rest, divides = self._of("over", 2), self._of("rest", 2), self._of("divisor", 2)
        self._goes(2, "a quotient of too many digits is known", over == (~vanishes & (product >= divisor << DIGITS)))
        self._goes(2, "the rest is the product", (divides == Mux(vanishes, 1, divisor))
                   & (rest == Mux(vanishes, 0, product)))

    def _divides(self, place: int) -> None:
        stage, digit = BEFORE + place, DIGITS - 1 - place
        rest, divisor, over = (self._before(name, stage) for name in ("rest", "divisor", "over"))
        after, found = self._of("rest", stage), self._of(f"digit_{place}", stage)
        self._goes(stage, f"digit {digit} is taken from the rest", after + Mux(found, divisor << digit, 0) == rest)
        self._goes(stage, f"digit {digit} leaves less than itself",
                   (rest >= divisor << digit + 1) | (after < divisor << digit))
        kept = [self._of(f"digit_{one}", stage) == self._before(f"digit_{one}", stage) for one in range(place)]
        self._goes(stage, f"all else stays at digit {digit}", Cat(
            self._of("divisor", stage) == divisor, self._of("over", stage) == over, *kept).all())

    def _rounds(self) -> None:
        stage = BEFORE + DIGITS
        rest, divisor, over = (self._before(name, stage) for name in ("rest", "divisor", "over"))
        whole = Cat(self._before(f"digit_{one}", stage) for one in reversed(range(DIGITS)))
        result, most = self._of("rounded", stage), (1 << DIGITS) - 1
        tie, above = (rest << 1) == divisor, (rest << 1) > divisor
        nearest = Mux(above, whole + 1, Mux(tie, whole + whole[0], whole))
        self._goes(stage, "the quotient is the nearest whole number, of two the even one", over | (
            result == Mux(nearest > most, most, nearest)))
        self._goes(stage, "what has too many digits is all ones", ~over | (result == most))


PROOFS = [
    Proof("sums of float32 values", "attention",
          "The sum of any two float32 values that are not negative is their exact sum, rounded once, half to even.",
          Additions, Method.FLUSH, 0, cover_depth=1, slow_faults=True, faults=[
              Fault("ties go up", real._round, "half & (rest | whole[0])", "half"),
              Fault("what is lost does not count", real._round, "total[:GUARD - 1].any()) | lost",
                    "total[:GUARD - 1].any())"),
              Fault("the smaller exponent is taken", real._order, "a.exponent < b.exponent", "b.exponent < a.exponent"),
              Fault("far begins a place early", real._align, "distance > width", "distance >= width - 1"),
              Fault("a carry leaves the exponent", real._round, "exponent + carry + rounded[-1]",
                    "exponent + rounded[-1]")]),
    *(Proof(f"sums of float32 values in {stages} stages", "attention", "They are those of one stage.",
            lambda stages=stages: Stages(stages), Method.FLUSH, stages - 1, faults=[
                Fault("a stage is left out", real.add, 'step("aligned", high, *_align(low, distance), exponent)',
                      '[*step("aligned", high, *_align(low, distance)), exponent]')])
      for stages in (2, 4)),
    Proof("quotients", "attention",
          "Digits and remainder are those of the division of any product by any sum; the quotient is rounded half to even.",
          Quotients, Method.FLUSH, 1, faults=[
              Fault("ties go up", divider._rounded, "== divisor) & whole[0]", "== divisor)"),
              Fault("a rest of the divisor itself stays", quotient, "fits = ~less[-1]", "fits = ~less[-1] & less.any()"),
              Fault("what vanishes may be a half", quotient, "apart > len(factor) + 1", "apart > len(factor)"),
              Fault("512 is not too much", quotient, "product >= (divisor << digits)", "product > (divisor << digits)")]),
]
