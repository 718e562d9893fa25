"""Generates the passes of a plan: the loops over repeats, rows of the kernel and groups of its columns."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.depthwise.signatures import REGION, pass_layout, plan_layout
from arrayloom.isa.config import Config


class Passes(Component):
    """Offers one pass after the other; positions are running sums, so that no multiplier is needed.

    The next pass is offered four cycles after one is taken, which is earlier than it can be used.

    Parameters
    ----------
    config : Config

    Members
    -------
    plan : In(stream.Signature(plan_layout()))
        Legal instructions.
    out : Out(stream.Signature(pass_layout(config)))
        The passes of these instructions.
    busy : Out(1)
        An instruction is held.
    """

    def __init__(self, config: Config) -> None:
        self.config, self.most = config, config.depthwise_columns
        super().__init__({
            "plan": In(stream.Signature(plan_layout())),
            "out": Out(stream.Signature(pass_layout(config))),
            "busy": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.held = Signal(plan_layout(), reset_less=True, name="plan")
        out = self.out.payload
        # What is left after this pass: columns of this row, rows of this repeat, repeats.
        self.columns = Signal.like(self.held.taps_x, name="columns", reset_less=True)
        self.rows = Signal.like(self.held.taps_y, name="rows", reset_less=True)
        self.repeats = Signal.like(self.held.repeats, name="repeats", reset_less=True)
        self.line = Signal.like(out.address, name="line", reset_less=True)      # the word of source row ``y``, column 0
        self.origin = Signal.like(out.column, name="origin", reset_less=True)   # source column of output 0 at this column
        for name in (*REGION, "narrow"):
            m.d.comb += getattr(out, name).eq(getattr(self.held, name))
        for name in ("weights", "count", "y", "column", "left", "address", "lead", "slots", "follows", "fresh", "final"):
            register = Signal.like(getattr(out, name), name=name, reset_less=True)
            setattr(self, name, register)
            m.d.comb += getattr(out, name).eq(register)
        m.d.comb += self.busy.eq(~self.plan.ready)
        with m.FSM():
            with m.State("EMPTY"):
                m.d.comb += self.plan.ready.eq(1)
                with m.If(self.plan.valid):
                    self._begin(m)
                    m.next = "LOOK"
            with m.State("LOOK"):
                self._look(m)
                m.next = "PLACE"
            with m.State("PLACE"):
                self._place(m)
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.out.valid.eq(1)
                with m.If(self.out.ready):
                    self._count(m)
                    m.next = "LOOK"
                    with m.If(self.final):
                        m.next = "EMPTY"
        return m

    def _begin(self, m: Module) -> None:
        new = self.plan.payload
        m.d.sync += [
            self.held.eq(new), self.weights.eq(new.weights), self.columns.eq(new.taps_x), self.rows.eq(new.taps_y),
            self.repeats.eq(new.repeats), self.line.eq(new.address), self.y.eq(new.origin_y), self.origin.eq(new.origin_x),
            self.fresh.eq(1),
        ]

    def _look(self, m: Module) -> None:
        """Computes what depends only on the column of the kernel: its weights, and the slots before its first output.

        An output is complete with its last operand. So the first output is complete ``count - 1`` columns after its first
        operand, of which columns to the left of the source need no slot.
        """
        plan = self.held
        many = ~plan.narrow & (self.columns >= self.most)
        few = Mux(plan.narrow, 1, self.columns)
        count = Signal.like(self.count)
        m.d.comb += count.eq(Mux(many, self.most, few))
        m.d.sync += [self.lead.eq(count - 1), self.column.eq(self.origin), self.left.eq(self.origin + count - self.most)]
        for before in range(1, self.most):
            with m.If((self.origin <= -before) & (count > before)):
                m.d.sync += [self.lead.eq(count - 1 - before), self.column.eq(self.origin + before)]
        m.d.sync += [
            self.count.eq(count),
            self.final.eq((self.columns == count) & (self.rows == 1) & (self.repeats == 1)),
        ]

    def _place(self, m: Module) -> None:
        """Computes the position, and whether rows can follow each other without a gap.

        They can if the columns that are read for the next row are outside the source for the previous row.
        """
        plan = self.held
        follows = Signal()
        m.d.comb += follows.eq(plan.narrow | (self.column + plan.span >= plan.source_width))
        m.d.sync += [
            self.address.eq(self.line + self.column), self.follows.eq(follows),
            self.slots.eq(plan.span + Mux(follows, 0, self.lead)),
        ]

    def _count(self, m: Module) -> None:
        plan, row_ends = self.held, self.columns == self.count
        m.d.sync += [
            self.fresh.eq(0), self.weights.eq(self.weights + self.count), self.columns.eq(self.columns - self.count),
            self.origin.eq(self.origin + Mux(plan.narrow, plan.dilation_x, self.most)),
        ]
        with m.If(row_ends):
            m.d.sync += [self.columns.eq(plan.taps_x), self.origin.eq(plan.origin_x), self.rows.eq(self.rows - 1),
                         self.y.eq(self.y + plan.dilation_y), self.line.eq(self.line + plan.tap_step)]
            with m.If(self.rows == 1):
                m.d.sync += [self.rows.eq(plan.taps_y), self.repeats.eq(self.repeats - 1), self.y.eq(plan.origin_y),
                             self.line.eq(plan.address)]
