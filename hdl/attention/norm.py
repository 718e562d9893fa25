"""Layer normalization: sums and spreads of pixels, reciprocal roots digit by digit, and normalized sums."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.attention.sums import SUM_BITS
from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.attention import NORM_FRACTION
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import COUNTED, SIGNIFICANT, WORD_ADDRESS, Moments, Normalize

TOTAL = signed(24)      # of the bytes of a pixel
SPREAD = 48             # bits in a spread
DIFFERENCE = 24         # bits in the magnitude of a difference
EXPONENT = signed(8)
ROOT = SIGNIFICANT + 1  # bits of a root or a reciprocal, the last of which rounds
LANE = 4                # cycles from a group of bytes to its sums
KEPT = data.StructLayout({"total": TOTAL, "significand": SIGNIFICANT, "shift": 6})


class NormEngine(Component):
    """Executes Moments and Normalize.

    Parameters
    ----------
    config : Config

    Members
    -------
    fields : In(FIELD_BITS)
        The instruction, which stays until ``done``.
    go : In(1)
        A pulse.
    done : Out(1)
        A pulse: all is read and written.
    ask : Out(1)
        Of the reader: ``first`` and ``count`` words.
    first : Out(WORD_ADDRESS)
    step : Out(WORD_ADDRESS)
    count : Out(16)
    take : Out(1)
    valid : In(1)
    word : In(word_bits)
        The words that the reader gives.
    write, last : Out(1)
    group : Out(range(groups))
    address : Out(range(accumulator_depth))
    sums : Out(32 * attention_lanes)
        Of the bank of sums.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lanes = config.attention_lanes
        self.groups = config.size // self.lanes
        super().__init__({
            "fields": In(FIELD_BITS), "go": In(1), "done": Out(1), "ask": Out(1), "first": Out(WORD_ADDRESS),
            "step": Out(WORD_ADDRESS), "count": Out(16), "take": Out(1), "valid": In(1), "word": In(config.word_bits),
            "write": Out(1), "last": Out(1),
            "group": Out(range(self.groups)), "address": Out(ceil_log2(config.accumulator_depth)),
            "sums": Out(SUM_BITS * self.lanes),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self.config
        self.moments, self.norm = (data.View(instruction_layout(cls), self.fields) for cls in (Moments, Normalize))
        counts = self.moments.opcode == Moments.OPCODE
        m.submodules.kept = memory = Memory(shape=KEPT, depth=config.accumulator_depth, init=[])
        self.keep, self.recall = memory.write_port(), memory.read_port()
        self.pixel, self.left = Signal(16, reset_less=True, name="pixel"), Signal(16, reset_less=True, name="left")
        self.block, self.line = Signal(14, reset_less=True, name="block"), Signal(WORD_ADDRESS, reset_less=True, name="line")
        self.channels = Signal(COUNTED, reset_less=True, name="channels")
        self.signs = Signal(config.word_bits, reset_less=True, name="signs")
        self.walker, self.walks = Signal(range(self.groups), reset_less=True, name="walker"), Signal(name="walks")
        reads_signs = Signal(name="reads_signs")
        self.begins, self.idle = Signal(name="begins"), Signal(name="root_idle")
        ends = self.walker == self.groups - 1
        advance = Signal()
        m.d.comb += [
            self.first.eq(Mux(reads_signs, self.norm.signs, Mux(counts, self.line, self.norm.source))),
            self.step.eq(Mux(counts, self.moments.plane_pitch, 1)),
            self.count.eq(Mux(reads_signs, 1, Mux(counts, self.moments.blocks, self.norm.width))),
            self.recall.en.eq(1), self.recall.addr.eq(self.pixel + advance),
        ]
        self._root(m)
        busy = self._lanes(m, ends)
        with m.If(self.walks):
            m.d.sync += self.walker.eq(Mux(ends, 0, self.walker + 1))
        with m.FSM(name="norm"):
            with m.State("IDLE"), m.If(self.go):
                m.d.sync += [self.pixel.eq(0), reads_signs.eq(~counts), self.line.eq(self.moments.source), self.walker.eq(0)]
                m.d.sync += self.left.eq(Mux(counts, self.moments.width, self.norm.width))
                with m.If(counts):
                    m.d.sync += self.channels.eq(self.moments.channels)
                m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.ask.eq(1)
                m.d.sync += [self.block.eq(self.moments.blocks), self.total.eq(0), self.squares.eq(0)]
                m.next = "RUN"
                with m.If(counts):
                    m.next = "COUNT"
            with m.State("RUN"):
                m.d.comb += [self.walks.eq(self.valid & ~reads_signs), self.take.eq(reads_signs | ends),
                             advance.eq(self.valid & self.take & ~reads_signs)]
                with m.If(self.valid & reads_signs):
                    m.d.sync += [self.signs.eq(self.word), reads_signs.eq(0)]
                    m.next = "ASK"
                with m.Elif(advance):
                    m.d.sync += [self.pixel.eq(self.pixel + 1), self.left.eq(self.left - 1)]
                    with m.If(self.left == 1):
                        m.next = "WAIT"
            with m.State("WAIT"), m.If(~busy):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
            with m.State("COUNT"):
                m.d.comb += self.take.eq(1)
                with m.If(self.valid):
                    self._count(m)
                    m.d.sync += self.block.eq(self.block - 1)
                    with m.If(self.block == 1):
                        m.next = "HAND"
            with m.State("HAND"), m.If(self.idle):      # the root before is done
                m.d.comb += self.begins.eq(1)
                m.d.sync += [self.line.eq(self.line + 1), self.left.eq(self.left - 1)]
                m.next = "ASK"
                with m.If(self.left == 1):
                    m.next = "LAST"
            with m.State("LAST"), m.If(self.idle):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        self._states(m)
        return m

    def _count(self, m: Module) -> None:
        """Adds a word's bytes and their squares, those of the last block that are channels."""
        size = self.config.size
        bits = ceil_log2(size)
        rest = self.moments.channels[:bits]
        values = []
        for channel in range(size):
            there = (self.block != 1) | (rest == 0) | (rest > channel)
            values.append(Mux(there, self.word.word_select(channel, 8), 0).as_signed())
        m.d.sync += [self.total.eq(self.total + sum(values)),
                     self.squares.eq(self.squares + sum((value * value for value in values), Const(0, 1)))]

    def _root(self, m: Module) -> None:
        """The registers of a spread and of its reciprocal root."""
        self.total, self.squares = Signal(TOTAL, reset_less=True, name="total"), Signal(31, reset_less=True, name="squares")
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
        self.shift = Signal(EXPONENT, reset_less=True, name="shift")
        self.given, self.kept_at = Signal(TOTAL, reset_less=True, name="given"), Signal(16, reset_less=True, name="kept_at")
        m.d.comb += [self.keep.data.total.eq(self.given), self.keep.data.shift.eq(self.shift),
                     self.keep.addr.eq(self.kept_at)]
        exact = self.digits[-1]     # the quotient is a power of two
        up = self.digits[0] & (self.rest.any() | self.digits[1])
        rounded = Signal(SIGNIFICANT + 1, name="rounded")
        m.d.comb += rounded.eq(Mux(exact, 1 << (SIGNIFICANT - 1), self.digits[1:] + up))
        m.d.comb += self.keep.data.significand.eq(Mux(rounded[-1], rounded[1:], rounded))

    def _states(self, m: Module) -> None:
        """From the sums of a pixel to the significand of 2**NORM_FRACTION over the root of its spread, and to how far
        products are shifted right; meanwhile the next pixel is counted."""
        with m.FSM(name="root"):
            self._spread(m)
            self._digits(m)

    def _spread(self, m: Module) -> None:
        """To float32."""
        with m.State("REST"):
            m.d.comb += self.idle.eq(1)
            with m.If(self.begins):
                m.d.sync += [self.scaled.eq(self.squares * self.channels), self.squared.eq(self.total * self.total),
                             self.given.eq(self.total), self.kept_at.eq(self.pixel), self.pixel.eq(self.pixel + 1)]
                m.next = "BEGIN"
        with m.State("BEGIN"):
            m.d.sync += [self.spread.eq((self.scaled - self.squared + self.moments.epsilon)[:SPREAD]),
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
                self.steps.eq(ROOT), self.shift.eq(2 * SIGNIFICANT - NORM_FRACTION + g),
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
            m.d.sync += self.shift.eq(self.shift - 1 - self.digits[-1] - (carries & ~self.digits[-1]))
            m.next = "KEEP"
        with m.State("KEEP"):
            m.d.comb += self.keep.en.eq(1)
            m.next = "REST"

    def _lanes(self, m: Module, ends: Value) -> Value:
        """Sums of a group, ``LANE`` cycles after it; returns whether some are under way."""
        flags = flag_line(m, self.walks, LANE, "normalizing")
        bits = len(self.walker)
        place = delay(m, Cat(self.walker, (self.left == 1) & ends, self.pixel), flags[:-1], "normalized_place")
        significand = delay(m, self.recall.data.significand, flags[:1], "significand")
        shift = delay(m, self.recall.data.shift, flags[:3], "shift_of")
        results = [self._lane(m, lane, flags, significand, shift) for lane in range(self.lanes)]
        m.d.comb += [
            self.write.eq(flags[-1]), self.group.eq(place[:bits]), self.last.eq(place[bits]),
            self.address.eq(place[bits + 1:]), self.sums.eq(Cat(results)),
        ]
        return Cat(flags).any()

    def _lane(self, m: Module, lane: int, flags: list[Value], significand: Value, shift: Value) -> Value:
        byte = Array([self.word.word_select(index * self.lanes + lane, 8) for index in range(self.groups)])[self.walker]
        sign = Array([self.signs.word_select(index * self.lanes + lane, 8) for index in range(self.groups)])[self.walker]
        difference = Signal(signed(DIFFERENCE + 2), name=f"difference_{lane}", reset_less=True)
        negative, nothing = (Signal(name=f"{name}_{lane}", reset_less=True) for name in ("negative", "nothing"))
        with m.If(flags[0]):
            m.d.sync += [difference.eq(byte.as_signed() * self.channels - self.recall.data.total), negative.eq(sign[-1]),
                         nothing.eq(sign == 0)]
        magnitude = Mux(difference < 0, -difference, difference)[:DIFFERENCE]
        product = data_register(m, magnitude * significand, flags[1], f"product_{lane}")
        rounded = data_register(m, _float(product), flags[2], f"rounded_{lane}")
        whole = _nearest(rounded, shift)
        minus = delay(m, (difference < 0) ^ negative, flags[1:3], f"minus_{lane}")
        empty = delay(m, nothing, flags[1:3], f"empty_{lane}")
        return data_register(m, Mux(empty, 0, Mux(minus, -whole, whole))[:SUM_BITS], flags[3], f"normalized_{lane}")


def _float(value: Value) -> Value:
    """A whole number rounded to ``SIGNIFICANT`` bits, half to even; its value stays."""
    bits = len(value)
    result: Value = value
    for top in range(SIGNIFICANT, bits):        # the highest bit, of which the last that is set counts
        drop = top - SIGNIFICANT + 1
        kept = value[drop:]
        up = value[drop - 1] & (value[:drop - 1].any() | value[drop])
        result = Mux(value[top], (kept + up) << drop, result)
    return result


def _nearest(value: Value, shift: Value) -> Value:
    """``value`` shifted right, rounded half to even."""
    bits = len(value)
    shifted = Cat(Const(0, 1 << len(shift)), value) >> shift
    below = 1 << len(shift)
    whole, lost = shifted[below:below + bits], shifted[:below]
    return whole + (lost[-1] & (lost[:-1].any() | whole[0]))
