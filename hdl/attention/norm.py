"""Layer normalization: sums of pixels, and normalized sums."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.attention.lane import LANE, normalized
from arrayloom.hdl.attention.root import SHIFT, SQUARES, TOTAL, ReciprocalRoot
from arrayloom.hdl.attention.sums import SUM_BITS
from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import COUNTED, SIGNIFICANT, WORD_ADDRESS, Moments, Normalize

COUNT = 3               # cycles from a word to the cycle that adds up what it holds
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
    first : Out(WORD_ADDRESS + 1)
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
            "fields": In(FIELD_BITS), "go": In(1), "done": Out(1), "ask": Out(1), "first": Out(WORD_ADDRESS + 1),
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
        self.block = Signal(14, reset_less=True, name="block")
        self.line = Signal(WORD_ADDRESS + 1, reset_less=True, name="line")
        self.channels = Signal(COUNTED, reset_less=True, name="channels")
        self.signs = Signal(config.word_bits, reset_less=True, name="signs")
        self.walker, self.walks = Signal(range(self.groups), reset_less=True, name="walker"), Signal(name="walks")
        reads_signs = Signal(name="reads_signs")
        self.total = Signal(TOTAL, reset_less=True, name="total")
        self.squares = Signal(SQUARES, reset_less=True, name="squares")
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
            root.epsilon.eq(self.moments.epsilon), root.pixel.eq(self.pixel),
            self.keep.en.eq(root.done), self.keep.addr.eq(root.pixel_done), self.keep.data.total.eq(root.total_done),
            self.keep.data.significand.eq(root.significand), self.keep.data.shift.eq(root.shift),
        ]
        busy = self._lanes(m, ends)
        counted, handed = Signal(name="counted"), Signal(name="handed")
        flags = flag_line(m, counted, COUNT, "counting")
        self._count(m, flags, handed | self.go)
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
                m.d.sync += self.block.eq(self.moments.blocks)
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
                m.d.comb += counted.eq(self.valid)
                with m.If(self.valid):
                    m.d.sync += self.block.eq(self.block - 1)
                    with m.If(self.block == 1):
                        m.next = "HAND"
            with m.State("HAND"), m.If(root.idle & ~Cat(flags[1:]).any()):
                m.d.comb += [root.go.eq(1), handed.eq(1)]
                m.d.sync += [self.line.eq(self.line + 1), self.left.eq(self.left - 1), self.pixel.eq(self.pixel + 1)]
                m.next = "ASK"
                with m.If(self.left == 1):
                    m.next = "LAST"
            with m.State("LAST"), m.If(~root.busy):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m

    def _count(self, m: Module, flags: list[Value], fresh: Value) -> None:
        """Adds a word's bytes and their squares, those of the last block that are channels, ``COUNT`` cycles after it."""
        size = self.config.size
        bits = ceil_log2(size)
        rest = self.moments.channels[:bits]
        values, squares = [], []
        for channel in range(size):
            there = (self.block != 1) | (rest == 0) | (rest > channel)
            byte = Mux(there, self.word.word_select(channel, 8), 0).as_signed()
            value = data_register(m, byte, flags[0], f"value_{channel:03}")
            values.append(value)
            squares.append(data_register(m, (value * value).as_unsigned(), flags[1], f"square_{channel:03}"))
        values = [delay(m, value, flags[1:2], f"late_{value.name}") for value in values]
        total = data_register(m, sum(values), flags[2], "total_of_word")
        square = data_register(m, sum(squares, Const(0, 1)), flags[2], "squares_of_word")
        with m.If(fresh):
            m.d.sync += [self.total.eq(0), self.squares.eq(0)]
        with m.Elif(flags[3]):
            m.d.sync += [self.total.eq(self.total + total), self.squares.eq(self.squares + square)]

    def _lanes(self, m: Module, ends: Value) -> Value:
        """Sums of a group, ``LANE`` cycles after it; returns whether some are under way."""
        flags = flag_line(m, self.walks, LANE, "normalizing")
        bits = len(self.walker)
        place = delay(m, Cat(self.walker, (self.left == 1) & ends, self.pixel), flags[:-1], "normalized_place")
        results = [normalized(m, f"lane_{lane}", self._of_lane(self.word, lane), self._of_lane(self.signs, lane),
                              self.channels, self.recall.data, flags[:-1]) for lane in range(self.lanes)]
        m.d.comb += [
            self.write.eq(flags[-1]), self.group.eq(place[:bits]), self.last.eq(place[bits]),
            self.address.eq(place[bits + 1:]), self.sums.eq(Cat(results)),
        ]
        return Cat(flags).any()

    def _of_lane(self, word: Value, lane: int) -> Value:
        """The byte of a word that a lane takes for the group that the walker has reached."""
        return Array([word.word_select(index * self.lanes + lane, 8) for index in range(self.groups)])[self.walker]
