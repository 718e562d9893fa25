"""Decodes raw instructions to plans: checks that they are legal, and computes the products that address generation needs."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.depthwise.signatures import plan_layout
from arrayloom.hdl.interfaces import INSTRUCTION, instruction_layout
from arrayloom.isa.config import WIDEST_STRIDE, Config
from arrayloom.isa.instructions import WORD_ADDRESS, Depthwise

COUNTS = ("height", "width", "taps_y", "taps_x", "repeats")     # fields that must not be zero


class DepthwiseDecoder(Component):
    """Decodes in three stages, whose registers hold the instruction, its products, and the plan after the legality check.

    An instruction is illegal when a count is zero, its region exceeds a bank of sums, or reserved bits are set.

    Parameters
    ----------
    config : Config
        ``accumulator_depth`` limits the region.

    Members
    -------
    instruction : In(stream.Signature(INSTRUCTION))
        Raw instructions.
    plan : Out(stream.Signature(plan_layout()))
        Legal instructions, decoded.
    illegal : Out(1)
        A pulse; nothing is accepted after it until reset.
    busy : Out(1)
        The decoder holds an instruction.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "instruction": In(stream.Signature(INSTRUCTION)),
            "plan": Out(stream.Signature(plan_layout())),
            "illegal": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        fields = Signal(instruction_layout(Depthwise), reset_less=True)
        holds, planned, checked = (Signal(name=name) for name in ("holds", "planned", "checked"))
        advance, failed = Signal(), Signal()
        m.d.comb += [
            advance.eq(~planned | (self.plan.valid & self.plan.ready)),
            self.instruction.ready.eq(~holds & ~failed),
            self.busy.eq(holds | planned),
        ]
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += [fields.eq(self.instruction.payload), holds.eq(1)]
        with m.Elif(advance):
            m.d.sync += holds.eq(0)
        legal = self._plan(m, fields, advance & holds)
        with m.If(advance):
            m.d.sync += [planned.eq(holds), checked.eq(0)]
        with m.Else():
            m.d.sync += checked.eq(1)
        m.d.comb += [self.plan.valid.eq(checked & legal & ~failed), self.illegal.eq(checked & ~legal & ~failed)]
        with m.If(self.illegal):
            m.d.sync += failed.eq(1)
        return m

    def _plan(self, m: Module, fields: data.View, enable: Value) -> Signal:
        """Fills the plan's register; returns a signal that says, one cycle later, whether its fields are legal."""
        plan = Signal(plan_layout(), reset_less=True)
        origin = Signal(signed(len(fields.origin_y) + len(fields.row_pitch)), reset_less=True)
        source = Signal(WORD_ADDRESS, reset_less=True)
        pixels = Signal(len(fields.height) + len(fields.width), reset_less=True)
        counted, legal = Signal(reset_less=True, name="counted"), Signal(reset_less=True, name="legal")
        narrow = ((fields.dilation_x != 1) | (fields.taps_x == 1) | (fields.stride_x > WIDEST_STRIDE)
                  | (fields.stride_x == 0))
        computed = {
            "row_step": fields.row_pitch * fields.stride_y,
            "tap_step": fields.row_pitch * fields.dilation_y,
            "narrow": narrow,
            "span": Mux(narrow, fields.width, fields.width * fields.stride_x[:WIDEST_STRIDE.bit_length()]),
        }
        with m.If(enable):
            m.d.sync += [getattr(plan, name).eq(value) for name, value in computed.items()]
            m.d.sync += [getattr(plan, name).eq(getattr(fields, name)) for name, _ in plan_layout()
                         if name not in computed and name != "address"]
            m.d.sync += [
                source.eq(fields.source), origin.eq(fields.origin_y * fields.row_pitch),
                pixels.eq(fields.height * fields.width),
                counted.eq(Cat(getattr(fields, name).any() for name in COUNTS).all() & ~fields.reserved.any()),
            ]
        m.d.sync += [plan.address.eq(source + origin), legal.eq(counted & (pixels <= self.config.accumulator_depth))]
        m.d.comb += self.plan.payload.eq(plan)
        return legal
