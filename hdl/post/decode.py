"""Decode: an instruction taken apart into the records of the POST unit's parts."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from hdl.interfaces import INSTRUCTION, instruction_layout
from hdl.post.records import (
    ADD_OFFSET,
    CLAMP,
    OPERANDS,
    RATIO_A,
    RATIO_B,
    REGION,
    SUM_CLAMP,
    TERM,
    WINDOW,
    WORK,
    Origin,
)
from isa.instructions import Drain, Pool, PoolKind, Vector

_ORIGINS = {PoolKind.MAXIMUM: Origin.BYTES, PoolKind.SUM: Origin.SUM, PoolKind.AVERAGE: Origin.AVERAGE}


class Decode(Component):
    """Combinational. A Vector is a maximum over windows of one word; only a Drain reads no window.

    Members
    -------
    instruction : In(512)
    legal : Out(1)
        No extent and no number of taps is zero, no reserved bit is set, and the pool kind exists.
    work, region, clamp : Out
        For every instruction.
    window : Out
        For those with ``reads``.
    term : Out
        For those with ``averages``.
    residual, operands, ratio_b, add_offset, ratio_a, sum_clamp : Out
        For those with ``adds``.
    """

    instruction: In(INSTRUCTION)
    legal: Out(1)
    reads: Out(1)
    averages: Out(1)
    adds: Out(1)
    work: Out(WORK)
    region: Out(REGION)
    clamp: Out(CLAMP)
    window: Out(WINDOW)
    term: Out(TERM)
    residual: Out(REGION)
    operands: Out(OPERANDS)
    ratio_b: Out(RATIO_B)
    add_offset: Out(ADD_OFFSET)
    ratio_a: Out(RATIO_A)
    sum_clamp: Out(SUM_CLAMP)

    def elaborate(self, platform):
        m = Module()
        drain, vector, pool = (data.View(instruction_layout(cls), self.instruction) for cls in (Drain, Vector, Pool))
        self._common(m, drain)
        self._residual(m, drain)
        sane = Signal()
        m.d.comb += sane.eq(drain.height.any() & drain.width.any())
        with m.Switch(drain.opcode):
            with m.Case(Drain.OPCODE):
                m.d.comb += [self.work.origin.eq(Origin.ACCUMULATOR), self.legal.eq(sane & ~drain.reserved.any())]
            with m.Case(Vector.OPCODE):
                self._vector(m, vector)
                m.d.comb += self.legal.eq(sane & ~vector.reserved.any())
            with m.Case(Pool.OPCODE):
                self._pool(m, pool)
                m.d.comb += self.legal.eq(sane & ~pool.reserved.any() & pool.taps_y.any() & pool.taps_x.any()
                                          & Cat(pool.kind == kind for kind in PoolKind).any())
        m.d.comb += [
            self.window.origin.eq(self.work.origin), self.reads.eq(self.work.origin != Origin.ACCUMULATOR),
            self.averages.eq(self.work.origin == Origin.AVERAGE), self.adds.eq(self.work.add),
        ]
        return m

    def _common(self, m, drain):
        """What all three share lies at the same place in all three."""
        for record in (self.work, self.window, self.region):
            m.d.comb += [record.height.eq(drain.height), record.width.eq(drain.width)]
        for name in ("table", "release_table", "release_parameters"):
            m.d.comb += self.work[name].eq(drain[name])
        m.d.comb += [
            self.region.start.eq(drain.destination), self.region.pitch.eq(drain.destination_pitch),
            self.clamp.low.eq(drain.low), self.clamp.high.eq(drain.high),
        ]
        with m.If((self.work.origin == Origin.ACCUMULATOR) | (self.work.origin == Origin.SUM)):
            m.d.comb += self.clamp.zero_point.eq(drain.zero_point)

    def _residual(self, m, drain):
        """The fields of the second operand; they mean something in a Drain and in a Vector."""
        for record in (self.operands, self.ratio_b, self.add_offset, self.ratio_a, self.sum_clamp):
            for name in record.shape().members:
                m.d.comb += record[name].eq(drain[name])
        m.d.comb += [
            self.residual.start.eq(drain.residual), self.residual.pitch.eq(drain.residual_pitch),
            self.residual.height.eq(drain.height), self.residual.width.eq(drain.width),
        ]
        with m.If((drain.opcode == Drain.OPCODE) | (drain.opcode == Vector.OPCODE)):
            m.d.comb += self.work.add.eq(drain.add)

    def _vector(self, m, vector):
        window = self.window
        m.d.comb += [
            self.work.origin.eq(Origin.BYTES),
            window.source.eq(vector.source), window.row_pitch.eq(vector.source_pitch),
            window.source_height.eq(vector.height), window.source_width.eq(vector.width),
        ]
        for name in ("stride_y", "stride_x", "dilation_y", "dilation_x", "taps_y", "taps_x"):
            m.d.comb += window[name].eq(1)

    def _pool(self, m, pool):
        for name in set(self.window.shape().members) - {"origin", "height", "width"}:
            m.d.comb += self.window[name].eq(pool[name])
        for name in TERM.members:
            m.d.comb += self.term[name].eq(pool[name])
        with m.Switch(pool.kind):
            for kind, origin in _ORIGINS.items():
                with m.Case(kind):
                    m.d.comb += self.work.origin.eq(origin)
