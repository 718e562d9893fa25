"""Reciprocal roots of the spreads of pixels, a digit in each cycle."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.attention import NORM_FRACTION
from arrayloom.isa.instructions import COUNTED, EPSILON, SIGNIFICANT

TOTAL = signed(24)      # of the bytes of a pixel
SQUARES = 31            # bits in the sum of their squares
SPREAD = 48             # bits in a spread
EXPONENT = signed(8)
SHIFT = 6               # bits in how far products are shifted
ROOT = SIGNIFICANT + 1  # bits of a root or a reciprocal, the last of which rounds


class ReciprocalRoot(Component):
    """From the sums of a pixel to the significand of 2**NORM_FRACTION over the root of its spread, and to how far products
    with it are shifted right.

    Members
    -------
    go : In(1)
        A pulse while ``idle``, with ``total``, ``squares`` and ``channels``; ``epsilon`` a cycle longer.
    total : In(TOTAL)
    squares : In(SQUARES)
    channels : In(COUNTED)
    epsilon : In(EPSILON)
    idle : Out(1)
    done : Out(1)
        A pulse, with ``significand`` and ``shift``.
    significand : Out(SIGNIFICANT)
    shift : Out(SHIFT)
    """

    def __init__(self) -> None:
        super().__init__({
            "go": In(1), "total": In(TOTAL), "squares": In(SQUARES), "channels": In(COUNTED), "epsilon": In(EPSILON),
            "idle": Out(1), "done": Out(1), "significand": Out(SIGNIFICANT), "shift": Out(SHIFT),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.scaled = Signal(SPREAD, reset_less=True, name="scaled")
        self.squared = Signal(SPREAD, reset_less=True, name="squared")
        self.spread = Signal(SPREAD, reset_less=True, name="spread")
        self.power = Signal(EXPONENT, reset_less=True, name="power")
        self.steps = Signal(range(ROOT + 2), reset_less=True, name="steps")
        self.radicand = Signal(2 * ROOT, reset_less=True, name="radicand")
        self.root = Signal(ROOT + 2, reset_less=True, name="root")
        self.rest = Signal(ROOT + 4, reset_less=True, name="rest")
        self.divisor = Signal(SIGNIFICANT, reset_less=True, name="divisor")
        self.digits = Signal(ROOT + 1, reset_less=True, name="digits")
        self.places = Signal(EXPONENT, reset_less=True, name="places")
        exact = self.digits[-1]     # the quotient is a power of two
        up = self.digits[0] & (self.rest.any() | self.digits[1])
        rounded = Signal(SIGNIFICANT + 1, name="rounded")
        m.d.comb += [
            rounded.eq(Mux(exact, 1 << (SIGNIFICANT - 1), self.digits[1:] + up)),
            self.significand.eq(Mux(rounded[-1], rounded[1:], rounded)), self.shift.eq(self.places),
        ]
        with m.FSM(name="root"):
            self._spread(m)
            self._digits(m)
        return m

    def _spread(self, m: Module) -> None:
        """To float32."""
        with m.State("REST"):
            m.d.comb += self.idle.eq(1)
            with m.If(self.go):
                m.d.sync += [self.scaled.eq(self.squares * self.channels), self.squared.eq(self.total * self.total)]
                m.next = "BEGIN"
        with m.State("BEGIN"):
            m.d.sync += [self.spread.eq((self.scaled - self.squared + self.epsilon)[:SPREAD]),
                         self.power.eq(SPREAD - 1)]
            m.next = "NORMALIZE"
        with m.State("NORMALIZE"):
            value, zeros = self.spread, Const(0, 1)
            for bits in (32, 16, 8, 4, 2, 1):
                none = ~value[SPREAD - bits:].any()
                value, zeros = Mux(none, (value << bits)[:SPREAD], value), zeros + Mux(none, bits, 0)
            m.d.sync += [self.spread.eq(value), self.power.eq(self.power - zeros)]
            m.next = "ROUND"
        with m.State("ROUND"):      # to float32; a carry leaves a power of two
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

    def _digits(self, m: Module) -> None:
        """The root, then its reciprocal, a digit in each cycle."""
        with m.State("ROOT"):       # two bits of the radicand for each of the root
            trial, brought = Signal(ROOT + 4, name="trial"), Signal(ROOT + 4, name="brought")
            m.d.comb += [brought.eq(Cat(self.radicand[-2:], self.rest)), trial.eq(Cat(Const(1, 2), self.root))]
            fits = brought >= trial
            m.d.sync += [self.radicand.eq(self.radicand << 2), self.rest.eq(Mux(fits, brought - trial, brought)),
                         self.root.eq(Cat(fits, self.root)), self.steps.eq(self.steps - 1)]
            with m.If(self.steps == 1):
                m.next = "ROUND_ROOT"
        with m.State("ROUND_ROOT"):     # no root lies in the middle of two
            rounded = Signal(SIGNIFICANT + 1, name="float_root")
            m.d.comb += rounded.eq(self.root[1:ROOT] + self.root[0])
            carry = rounded[-1]
            divisor = Mux(carry, rounded[1:], rounded)[:SIGNIFICANT]
            # sqrt = divisor * 2**g with g = floor((power - 23 - 25) / 2) + 1, one more after a carry.
            g = Signal(EXPONENT, name="root_power")
            m.d.comb += g.eq(((self.power - (SIGNIFICANT - 1) - ROOT) >> 1) + 1 + carry)
            equal = divisor == 1 << (SIGNIFICANT - 1)
            m.d.sync += [
                self.divisor.eq(divisor), self.digits.eq(equal), self.rest.eq(Mux(equal, 0, 1 << (SIGNIFICANT - 1))),
                self.steps.eq(ROOT), self.places.eq(2 * SIGNIFICANT - NORM_FRACTION + g),
            ]
            m.next = "DIVIDE"
        with m.State("DIVIDE"):
            twice = Signal(ROOT + 4, name="twice")
            m.d.comb += twice.eq(self.rest << 1)
            fits = twice >= self.divisor
            m.d.sync += [self.rest.eq(Mux(fits, twice - self.divisor, twice)), self.digits.eq(Cat(fits, self.digits)),
                         self.steps.eq(self.steps - 1)]
            with m.If(self.steps == 1):
                m.next = "PLACE"
        with m.State("PLACE"):      # digits * 2**-shift is the reciprocal; its last digit, or last two, are rounded away
            carries = self.digits[1:ROOT].all() & self.digits[0]
            m.d.sync += self.places.eq(self.places - 1 - self.digits[-1] - (carries & ~self.digits[-1]))
            m.next = "KEEP"
        with m.State("KEEP"):
            m.d.comb += self.done.eq(1)
            m.next = "REST"
