"""Layer normalization: sums of pixels, and normalized sums."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.attention.real import nearest, rounded_to_real
from arrayloom.hdl.attention.root import SHIFT, SQUARES, TOTAL, ReciprocalRoot
from arrayloom.hdl.attention.sums import SUM_BITS
from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import COUNTED, SIGNIFICANT, WORD_ADDRESS, Moments, Normalize

DIFFERENCE = 24         # bits in the magnitude of a difference
LANE = 4                # cycles from a group of bytes to its sums
KEPT = data.StructLayout({"total": TOTAL, "significand": SIGNIFICANT, "shift": SHIFT})


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
        self.total = Signal(TOTAL, reset_less=True, name="total")
        self.squares = Signal(SQUARES, reset_less=True, name="squares")
        self.given, self.kept_at = Signal(TOTAL, reset_less=True, name="given"), Signal(16, reset_less=True, name="kept_at")
        ends = self.walker == self.groups - 1
        advance = Signal()
        m.d.comb += [
            self.first.eq(Mux(reads_signs, self.norm.signs, Mux(counts, self.line, self.norm.source))),
            self.step.eq(Mux(counts, self.moments.plane_pitch, 1)),
            self.count.eq(Mux(reads_signs, 1, Mux(counts, self.moments.blocks, self.norm.width))),
            self.recall.en.eq(1), self.recall.addr.eq(self.pixel + advance),
        ]
        m.submodules.root = root = ReciprocalRoot()
        m.d.comb += [
            root.total.eq(self.total), root.squares.eq(self.squares), root.channels.eq(self.channels),
            root.epsilon.eq(self.moments.epsilon),
            self.keep.en.eq(root.done), self.keep.addr.eq(self.kept_at), self.keep.data.total.eq(self.given),
            self.keep.data.significand.eq(root.significand), self.keep.data.shift.eq(root.shift),
        ]
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
            with m.State("HAND"), m.If(root.idle):      # the root before is done
                m.d.comb += root.go.eq(1)
                m.d.sync += [self.line.eq(self.line + 1), self.left.eq(self.left - 1), self.pixel.eq(self.pixel + 1),
                             self.given.eq(self.total), self.kept_at.eq(self.pixel)]
                m.next = "ASK"
                with m.If(self.left == 1):
                    m.next = "LAST"
            with m.State("LAST"), m.If(root.idle):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
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
        rounded = data_register(m, rounded_to_real(product), flags[2], f"rounded_{lane}")
        whole = nearest(rounded, shift)
        minus = delay(m, (difference < 0) ^ negative, flags[1:3], f"minus_{lane}")
        empty = delay(m, nothing, flags[1:3], f"empty_{lane}")
        return data_register(m, Mux(empty, 0, Mux(minus, -whole, whole))[:SUM_BITS], flags[3], f"normalized_{lane}")
