"""Reciprocal roots of the spreads of pixels, a digit in each cycle: a root, while the reciprocal of the last is found."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.attention import NORM_FRACTION
from arrayloom.isa.instructions import COUNTED, EPSILON, EXTENT, SIGNIFICANT

TOTAL = signed(24)      # of the bytes of a pixel
HALF = 12               # bits in half of its magnitude
SQUARES = 31            # bits in the sum of their squares
SPREAD = 48             # bits in a spread
EXPONENT = signed(8)
SHIFT = 6               # bits in how far products are shifted
STEPS = (32, 16), (8, 4), (2, 1)        # of leading zeros, each pair in a cycle
ROOT = SIGNIFICANT + 1  # bits of a root or a reciprocal, the last of which rounds


class ReciprocalRoot(Component):
    """From the sums of a pixel to the significand of 2**NORM_FRACTION over the root of its spread, and to how far products
    with it are shifted right.

    Members
    -------
    go : In(1)
        A pulse while ``idle``, with ``total``, ``squares``, ``channels`` and ``pixel``; ``epsilon`` stays.
    total : In(TOTAL)
    squares : In(SQUARES)
    channels : In(COUNTED)
    epsilon : In(EPSILON)
    pixel : In(EXTENT)
        Number of the pixel.
    idle : Out(1)
    busy : Out(1)
        A pixel is not done.
    done : Out(1)
        A pulse, with the following.
    significand : Out(SIGNIFICANT)
    shift : Out(SHIFT)
    pixel_done : Out(EXTENT)
    total_done : Out(TOTAL)
        Those of the pixel.
    """

    def __init__(self) -> None:
        super().__init__({
            "go": In(1), "total": In(TOTAL), "squares": In(SQUARES), "channels": In(COUNTED), "epsilon": In(EPSILON),
            "pixel": In(EXTENT), "idle": Out(1), "busy": Out(1), "done": Out(1), "significand": Out(SIGNIFICANT),
            "shift": Out(SHIFT), "pixel_done": Out(EXTENT), "total_done": Out(TOTAL),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.spread = Signal(SPREAD, reset_less=True, name="spread")
        self.power = Signal(EXPONENT, reset_less=True, name="power")
        self.of_root = Signal(data.StructLayout({"pixel": EXTENT, "total": TOTAL}), reset_less=True, name="of_root")
        self.root = Signal(ROOT + 2, reset_less=True, name="root")
        self.hands, self.free = Signal(name="hands"), Signal(name="free")
        m.d.comb += self.busy.eq(~self.idle | ~self.free)
        with m.FSM(name="root"):
            self._products(m)
            self._spread(m)
            self._root(m)
        self._reciprocal(m)
        return m

    def _products(self, m: Module) -> None:
        """The products that the spread is the difference of: first of parts of their factors."""
        magnitude = Signal(2 * HALF, reset_less=True, name="magnitude")
        low, high = magnitude[:HALF], magnitude[HALF:]
        few, many = (Signal(2 * COUNTED, reset_less=True, name=name) for name in ("few", "many"))
        lows, highs, crossed = (Signal(2 * HALF, reset_less=True, name=name) for name in ("lows", "highs", "crossed"))
        scaled, squared = (Signal(SPREAD, reset_less=True, name=name) for name in ("scaled", "squared"))
        with m.State("REST"):
            m.d.comb += self.idle.eq(1)
            with m.If(self.go):
                m.d.sync += [
                    few.eq(self.squares[:COUNTED] * self.channels), many.eq(self.squares[COUNTED:] * self.channels),
                    magnitude.eq(Mux(self.total < 0, -self.total, self.total)),
                    self.of_root.pixel.eq(self.pixel), self.of_root.total.eq(self.total),
                ]
                m.next = "MULTIPLY"
        with m.State("MULTIPLY"):
            m.d.sync += [lows.eq(low * low), highs.eq(high * high), crossed.eq(low * high),
                         scaled.eq(few + (many << COUNTED))]
            m.next = "ADD"
        with m.State("ADD"):
            m.d.sync += squared.eq(Cat(lows, highs) + (crossed << HALF + 1))
            m.next = "BEGIN"
        with m.State("BEGIN"):
            m.d.sync += [self.spread.eq((scaled - squared + self.epsilon)[:SPREAD]), self.power.eq(SPREAD - 1)]
            m.next = "NORMALIZE_0"

    def _spread(self, m: Module) -> None:
        """To float32: without leading zeros, then rounded; a carry leaves a power of two."""
        for index, steps in enumerate(STEPS):
            with m.State(f"NORMALIZE_{index}"):
                value, zeros = self.spread, Const(0, 1)
                for bits in steps:
                    none = ~value[SPREAD - bits:].any()
                    value, zeros = Mux(none, (value << bits)[:SPREAD], value), zeros + Mux(none, bits, 0)
                m.d.sync += [self.spread.eq(value), self.power.eq(self.power - zeros)]
                m.next = f"NORMALIZE_{index + 1}" if index + 1 < len(STEPS) else "ROUND"
        self.rest = Signal(ROOT + 4, reset_less=True, name="rest")
        self.steps = Signal(range(ROOT + 2), reset_less=True, name="steps")
        self.radicand = Signal(2 * ROOT, reset_less=True, name="radicand")
        with m.State("ROUND"):
            high, low = self.spread[SIGNIFICANT:], self.spread[:SIGNIFICANT]
            half = low[-1] & (low[:-1].any() | high[0])
            rounded = Signal(SIGNIFICANT + 1, name="float_spread")
            odd = Signal(name="odd")
            power = Signal(EXPONENT, name="float_power")
            m.d.comb += [rounded.eq(high + half), power.eq(self.power + rounded[-1]), odd.eq(power[0])]
            significand = Mux(rounded[-1], rounded[1:], rounded)[:SIGNIFICANT]
            # value = significand * 2**(power - 23); its exponent is made even: 2**25 or 2**26 are taken into the radicand.
            m.d.sync += [
                self.radicand.eq(Mux(odd, significand << ROOT + 1, significand << ROOT)), self.power.eq(power),
                self.root.eq(0), self.rest.eq(0), self.steps.eq(ROOT),
            ]
            m.next = "ROOT"

    def _root(self, m: Module) -> None:
        """Two bits of the radicand for each of the root."""
        with m.State("ROOT"):
            trial, brought = Signal(ROOT + 4, name="trial"), Signal(ROOT + 4, name="brought")
            m.d.comb += [brought.eq(Cat(self.radicand[-2:], self.rest)), trial.eq(Cat(Const(1, 2), self.root))]
            fits = brought >= trial
            m.d.sync += [self.radicand.eq(self.radicand << 2), self.rest.eq(Mux(fits, brought - trial, brought)),
                         self.root.eq(Cat(fits, self.root)), self.steps.eq(self.steps - 1)]
            with m.If(self.steps == 1):
                m.next = "HAND"
        with m.State("HAND"), m.If(self.free):
            m.d.comb += self.hands.eq(1)
            m.next = "REST"

    def _reciprocal(self, m: Module) -> None:
        """Of the root, rounded: a digit in each cycle; the last digit, or the last two, round."""
        rest = Signal(ROOT + 4, reset_less=True, name="rest_of_reciprocal")
        divisor, digits = (Signal(bits, reset_less=True, name=name) for bits, name in (
            (SIGNIFICANT, "divisor"), (ROOT + 1, "digits")))
        steps, places = (Signal(shape, reset_less=True, name=name) for shape, name in (
            (range(ROOT + 2), "digits_left"), (EXPONENT, "places")))
        of = Signal.like(self.of_root, name="of_reciprocal", reset_less=True)
        m.d.comb += [self.pixel_done.eq(of.pixel), self.total_done.eq(of.total), self.shift.eq(places),
                     self.significand.eq(_rounded(digits, rest))]
        with m.FSM(name="reciprocal"):
            with m.State("FREE"):       # no root lies in the middle of two
                m.d.comb += self.free.eq(1)
                rounded = Signal(SIGNIFICANT + 1, name="float_root")
                m.d.comb += rounded.eq(self.root[1:ROOT] + self.root[0])
                carry = rounded[-1]
                root = Mux(carry, rounded[1:], rounded)[:SIGNIFICANT]
                # sqrt = root * 2**g with g = floor((power - 23 - 25) / 2) + 1, one more after a carry.
                g = ((self.power - (SIGNIFICANT - 1) - ROOT) >> 1) + 1 + carry
                equal = root == 1 << (SIGNIFICANT - 1)
                with m.If(self.hands):
                    m.d.sync += [
                        divisor.eq(root), digits.eq(equal), rest.eq(Mux(equal, 0, 1 << (SIGNIFICANT - 1))), steps.eq(ROOT),
                        places.eq(2 * SIGNIFICANT - NORM_FRACTION + g), of.eq(self.of_root),
                    ]
                    m.next = "DIVIDE"
            with m.State("DIVIDE"):
                twice = Signal(ROOT + 4, name="twice")
                m.d.comb += twice.eq(rest << 1)
                fits = twice >= divisor
                m.d.sync += [rest.eq(Mux(fits, twice - divisor, twice)), digits.eq(Cat(fits, digits)), steps.eq(steps - 1)]
                with m.If(steps == 1):
                    m.next = "PLACE"
            with m.State("PLACE"):      # digits * 2**-shift is the reciprocal; its last digit, or last two, are rounded away
                carries = digits[1:ROOT].all() & digits[0]
                m.d.sync += places.eq(places - 1 - digits[-1] - (carries & ~digits[-1]))
                m.next = "KEEP"
            with m.State("KEEP"):
                m.d.comb += self.done.eq(1)
                m.next = "FREE"


def _rounded(digits: Value, rest: Value) -> Value:
    """The significand of a reciprocal, rounded half to even."""
    exact = digits[-1]          # the quotient is a power of two
    up = digits[0] & (rest.any() | digits[1])
    rounded = Mux(exact, 1 << (SIGNIFICANT - 1), digits[1:] + up)[:SIGNIFICANT + 1]
    return Mux(rounded[-1], rounded[1:], rounded)
