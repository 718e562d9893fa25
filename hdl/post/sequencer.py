"""Sequencer: decides in each cycle whether a group of channels enters the lanes."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.post.records import IN_FLIGHT, WORK, Origin
from arrayloom.hdl.post.tokens import token_layout
from arrayloom.isa.config import Config
from arrayloom.isa.registers import CAUSE_BITS, Cause

NEEDS = data.StructLayout({"parameters": 1, "lookup_table": 1, "residual": 1, "origin": len(Origin)})   # origin: a bit each


class Sequencer(Component):
    """Once a word's first group has entered, its other groups follow in the next cycles.

    One idle cycle separates instructions. From that cycle on, the sequencer waits for what the next instruction needs
    once (parameters, a lookup table, a full bank) and latches it; it stays available.

    Parameters
    ----------
    config : Config

    Members
    -------
    work : In(stream.Signature(WORK))
        Instructions.
    parameters : In(1)
        Parameters for a word are available.
    thresholds : In(1)
        The thresholds of an average are available.
    lookup_table : In(1)
        A lookup table is available.
    last : In(range(accumulator_depth))
        The number of the last pixel of the accumulator bank that a Drain works on.
    bank : In(1)
        A full accumulator bank is available and not being released.
    operand : In(len(Origin))
        Bit o: a word of origin o is available; the bit of ACCUMULATOR is ignored.
    residual : In(1)
        A residual word is available.
    space : In(1)
        There is room for one more word after the lanes.
    gathering : In(1)
        Operands of a pool were being processed one cycle ago.
    group : Out(stream.Signature(token_layout(config), always_ready=True))
        The groups that enter the lanes.
    word : Out(1)
        The group is the first of its word.
    takes : Out(len(Origin))
        Bit o: it is the first of a word of origin o.
    pixel : Out(range(accumulator_depth))
        Number of the word in its instruction.
    averaging : Out(1)
        The current instruction is an average, and its thresholds are available.
    launch : Out(1)
        A pulse: the residual of the current Drain may be read. A Drain reads nothing before its bank is full,
        so everything that the bank waited for is complete.
    mismatch : Out(1)
        A pulse after a word of a Drain that ends before or after its bank.
    cause : Out(CAUSE_BITS)
        Why a group enters or does not, or IDLE without an instruction.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.token = token_layout(config)
        super().__init__({
            "work": In(stream.Signature(WORK)),
            "parameters": In(1), "thresholds": In(1), "lookup_table": In(1),
            "last": In(ceil_log2(config.accumulator_depth)), "bank": In(1),
            "operand": In(len(Origin)), "residual": In(1), "space": In(1), "gathering": In(1),
            "group": Out(stream.Signature(self.token, always_ready=True)), "word": Out(1),
            "takes": Out(len(Origin)),
            "pixel": Out(ceil_log2(config.accumulator_depth)), "averaging": Out(1), "launch": Out(1),
            "mismatch": Out(1), "cause": Out(CAUSE_BITS),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        active, started, go, finish = Signal(name="active"), Signal(), Signal(), Signal()
        now = Signal(WORK, reset_less=True)     # height and width count the remaining words, without the current one
        width = Signal.like(now.width, reset_less=True)
        pixel = Signal.like(self.pixel, reset_less=True)
        group, slot = Signal(range(self.config.groups)), Signal(range(IN_FLIGHT))
        # Computed when counting.
        last_row, last_word = (Signal(name=name, reset_less=True) for name in ("last_row", "last_word"))
        needs, launches = Signal(NEEDS, reset_less=True, name="needs"), Signal(name="launches")
        start_ok, word_ok = Signal(name="start_ok"), Signal()
        m.d.comb += [
            word_ok.eq(self.space & (self.residual | ~needs.residual) & ~(needs.origin & ~self.operand)[1:].any()),
            go.eq(active & (group.any() | (start_ok & word_ok))),
            self.averaging.eq(active & needs.origin[Origin.AVERAGE] & start_ok),
            self.pixel.eq(pixel), self.word.eq(go & ~group.any()), self.takes.eq(Mux(self.word, needs.origin, 0)),
            self.launch.eq(launches & self.bank),
        ]
        with m.If(self.launch):
            m.d.sync += launches.eq(0)
        final = group == self.config.groups - 1
        closing = last_row & last_word
        m.d.comb += finish.eq(go & final & closing)
        m.d.sync += self.mismatch.eq(self.word & needs.origin[Origin.ACCUMULATOR] & ((pixel == self.last) != closing))
        self._token(m, now, go, started, group, final, closing)
        m.d.comb += self.group.payload.slot.eq(slot)
        with m.If(finish):
            m.d.sync += slot.eq(slot + 1)
        with m.If(go):
            m.d.sync += [started.eq(1), group.eq(Mux(final, 0, group + 1))]
            with m.If(final):
                m.d.sync += pixel.eq(pixel + 1)
                with m.If(~last_word):
                    m.d.sync += [now.width.eq(now.width - 1), last_word.eq(now.width == 1)]
                with m.Else():
                    m.d.sync += [now.width.eq(width), last_word.eq(width == 0),
                                 now.height.eq(now.height - 1), last_row.eq(now.height == 1)]
        m.d.comb += self.work.ready.eq(~active)
        with m.If(finish):
            m.d.sync += active.eq(0)
        with m.Elif(~active):
            fresh, fresh_needs = self.work.payload, self._needs(m)
            m.d.sync += [active.eq(self.work.valid), started.eq(0), start_ok.eq(self._there(fresh_needs)),
                         needs.eq(fresh_needs), launches.eq(self.work.valid & _drains(fresh_needs) & fresh.add)]
            m.d.sync += [now.eq(fresh), now.height.eq(fresh.height - 1), now.width.eq(fresh.width - 1),
                         now.release_parameters.eq(fresh.release_parameters & (fresh.origin != Origin.BYTES)),
                         width.eq(fresh.width - 1), pixel.eq(0),
                         last_word.eq(fresh.width == 1), last_row.eq(fresh.height == 1)]
        with m.Elif(self._there(needs)):
            m.d.sync += start_ok.eq(1)
        self._cause(m, active, go, start_ok, needs)
        return m

    def _needs(self, m: Module) -> data.View:
        """The conditions for which the next instruction must wait."""
        needs, work = Signal(NEEDS), self.work.payload
        m.d.comb += [
            needs.parameters.eq((work.origin == Origin.ACCUMULATOR) | (work.origin == Origin.SUM)),
            needs.lookup_table.eq(work.lookup_table | work.release_lookup_table), needs.residual.eq(work.add),
            needs.origin.eq(Cat(work.origin == origin for origin in Origin)),
        ]
        return needs

    def _constants(self, needs: data.View) -> Value:
        """Whether the parameters and the lookup table needed by the instruction are available."""
        averages = needs.origin[Origin.AVERAGE]
        return ((~needs.parameters | self.parameters) & (~averages | self.thresholds)
                & (~needs.lookup_table | self.lookup_table))

    def _there(self, needs: data.View) -> Value:
        return self._constants(needs) & (~_drains(needs) | self.bank)

    def _token(self, m: Module, now: data.View, go: Value, started: Value,
               group: Value, final: Value, closing: Value) -> None:
        token, last = self.group.payload, final & closing
        m.d.comb += [
            self.group.valid.eq(go), token.first.eq(~started), token.final.eq(final), token.closing.eq(closing),
            token.group.eq(group), token.origin.eq(now.origin), token.add.eq(now.add),
            token.lookup_table.eq(now.lookup_table),
            token.release_parameters.eq(last & now.release_parameters),
            token.release_lookup_table.eq(last & now.release_lookup_table),
        ]

    def _cause(self, m: Module, active: Value, go: Value, start_ok: Value, needs: data.View) -> None:
        with m.If(~active):
            m.d.comb += self.cause.eq(Cause.IDLE)
        with m.Elif(go):
            m.d.comb += self.cause.eq(Cause.COMPUTING)
        with m.Elif(~start_ok & ~self._constants(needs)):
            m.d.comb += self.cause.eq(Cause.WEIGHTS)
        with m.Elif(~start_ok):
            m.d.comb += self.cause.eq(Mux(_drains(needs) & ~self.bank, Cause.SUMS, Cause.OVERHEAD))
        with m.Elif(self.gathering):
            m.d.comb += self.cause.eq(Cause.COMPUTING)
        with m.Else():
            m.d.comb += self.cause.eq(Cause.ACTIVATIONS)


def _drains(needs: data.View) -> Value:
    return needs.origin[Origin.ACCUMULATOR]
