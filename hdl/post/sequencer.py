"""Sequencer: decides in each cycle whether a group of channels enters the lanes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from hdl.post.records import IN_FLIGHT, WORK, Origin
from hdl.post.tokens import token_layout
from isa.config import Config
from isa.registers import CAUSE_BITS, Cause


class Sequencer(Component):
    """Once a word's first group has entered, its other groups follow in the next cycles.

    Members
    -------
    work : In(stream of WORK)
    parameters, thresholds : In(1)
        Parameters for a word, or those of an average, are there.
    tables : In
        Pages there.
    half : In(1)
        A full accumulator half is there that is not being released.
    operand : In(one bit for each Origin but ACCUMULATOR)
        A word of that origin is there.
    residual : In(1)
        A residual word is there.
    space : In(1)
        There is room for one more word behind the lanes.
    gathering : In(1)
        Operands of a pool are being worked on.
    group : Out(stream of tokens, always ready)
    word : Out(1)
        The group is the first of its word.
    pixel : Out
        Number of the word in its instruction.
    launch : Out(1)
        A pulse: the residual of the Drain whose turn it is may be read. A Drain reads nothing before its half is full,
        so that whatever the half had to wait for is complete.
    averaging : Out(1)
        The instruction whose turn it is averages, and its thresholds are there.
    cause : Out
        Why, or IDLE without an instruction.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.token = token_layout(config)
        super().__init__({
            "work": In(stream.Signature(WORK)),
            "parameters": In(1), "thresholds": In(1), "tables": In(range(config.table_pages + 1)),
            "half": In(1), "operand": In(len(Origin)), "residual": In(1), "space": In(1), "gathering": In(1),
            "group": Out(stream.Signature(self.token, always_ready=True)), "word": Out(1),
            "pixel": Out(ceil_log2(config.accumulator_depth)), "averaging": Out(1), "launch": Out(1),
            "cause": Out(CAUSE_BITS),
        })

    def elaborate(self, platform):
        m = Module()
        active, started, go, finish, launched = Signal(), Signal(), Signal(), Signal(), Signal()
        now = Signal(WORK, reset_less=True)     # height and width count what is left, the present word not
        width = Signal.like(now.width, reset_less=True)
        pixel = Signal.like(self.pixel, reset_less=True)
        group, slot = Signal(range(self.config.groups)), Signal(range(IN_FLIGHT))
        drains = now.origin == Origin.ACCUMULATOR
        constants_there, start_ok, word_ok = Signal(), Signal(), Signal()
        m.d.comb += [
            constants_there.eq(self._constants(now)), start_ok.eq(started | (constants_there & (~drains | self.half))),
            word_ok.eq(self.space & (self.residual | ~now.add) & (drains | self.operand.bit_select(now.origin, 1))),
            go.eq(active & (group.any() | (start_ok & word_ok))),
            self.averaging.eq(active & (now.origin == Origin.AVERAGE) & (started | constants_there)),
            self.pixel.eq(pixel), self.word.eq(go & ~group.any()),
            self.launch.eq(active & now.add & ~launched & drains & self.half),
        ]
        with m.If(self.launch):
            m.d.sync += launched.eq(1)
        final = group == self.config.groups - 1
        closing = ~(now.height.any() | now.width.any())
        m.d.comb += finish.eq(go & final & closing)
        self._token(m, now, go, started, group, final, closing)
        m.d.comb += self.group.payload.slot.eq(slot)
        with m.If(finish):
            m.d.sync += slot.eq(slot + 1)
        with m.If(go):
            m.d.sync += [started.eq(1), group.eq(Mux(final, 0, group + 1))]
            with m.If(final):
                m.d.sync += pixel.eq(pixel + 1)
                with m.If(now.width.any()):
                    m.d.sync += now.width.eq(now.width - 1)
                with m.Else():
                    m.d.sync += [now.width.eq(width), now.height.eq(now.height - 1)]
        m.d.comb += self.work.ready.eq(~active | finish)
        with m.If(self.work.ready):
            fresh = self.work.payload
            m.d.sync += [active.eq(self.work.valid), started.eq(0), launched.eq(0)]
            with m.If(self.work.valid):
                m.d.sync += [now.eq(fresh), now.height.eq(fresh.height - 1), now.width.eq(fresh.width - 1),
                             width.eq(fresh.width - 1), pixel.eq(0)]
        self._cause(m, active, go, started | constants_there, start_ok)
        return m

    def _constants(self, now):
        """Whether parameters and table that the instruction needs are there."""
        few = (now.origin == Origin.ACCUMULATOR) | (now.origin == Origin.SUM)
        many = now.origin == Origin.AVERAGE
        return ((~few | self.parameters) & (~many | self.thresholds)
                & (~(now.table | now.release_table) | self.tables.any()))

    def _token(self, m, now, go, started, group, final, closing):
        token, last = self.group.payload, final & closing
        m.d.comb += [
            self.group.valid.eq(go), token.first.eq(~started), token.final.eq(final), token.closing.eq(closing),
            token.group.eq(group), token.origin.eq(now.origin), token.add.eq(now.add), token.table.eq(now.table),
            token.release_parameters.eq(last & now.release_parameters & (now.origin != Origin.BYTES)),
            token.release_table.eq(last & now.release_table),
        ]

    def _cause(self, m, active, go, constants_there, start_ok):
        with m.If(~active):
            m.d.comb += self.cause.eq(Cause.IDLE)
        with m.Elif(go):
            m.d.comb += self.cause.eq(Cause.COMPUTING)
        with m.Elif(~constants_there):
            m.d.comb += self.cause.eq(Cause.WEIGHTS)
        with m.Elif(~start_ok):
            m.d.comb += self.cause.eq(Cause.SUMS)
        with m.Elif(self.gathering):
            m.d.comb += self.cause.eq(Cause.COMPUTING)
        with m.Else():
            m.d.comb += self.cause.eq(Cause.ACTIVATIONS)
