"""Decodes raw instructions to plans: checks legality and computes products for address generation."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.array.signatures import plan_layout
from arrayloom.hdl.interfaces import INSTRUCTION, instruction_layout
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import WORD_ADDRESS, CentredConvolve, Convolve

COUNTS = ("height", "width", "taps_y", "taps_x", "blocks", "repeats")   # fields that must not be zero


class Decoder(Component):
    """Three stages: hold the instruction, hold its products, then hold its plan, whose legality is known.

    An instruction is illegal when a count is zero, its region exceeds an accumulator bank, reserved bits are set,
    ``first`` contradicts whether a bank is in use, or it continues a bank that was begun with another number of pixels.

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
            "plan": Out(stream.Signature(plan_layout(bool(config.attention_lanes)))),
            "illegal": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        fields = Signal(instruction_layout(Convolve), reset_less=True)
        holds = Signal()
        planned, checked = Signal(name="planned"), Signal(name="checked")
        advance = Signal()
        failed = Signal()
        m.d.comb += [
            advance.eq(~planned | (self.plan.valid & self.plan.ready)),
            self.instruction.ready.eq(~holds & ~failed),
            self.busy.eq(holds | planned),
        ]
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += [fields.eq(self.instruction.payload), holds.eq(1)]
        with m.Elif(advance):
            m.d.sync += holds.eq(0)
        fits, as_begun = self._plan(m, fields, advance & holds)
        with m.If(advance):
            m.d.sync += [planned.eq(holds), checked.eq(0)]
        with m.Else():
            m.d.sync += checked.eq(1)

        bank_in_use = Signal()
        legal = Signal()
        m.d.comb += [
            legal.eq(fits & (self.plan.payload.first != bank_in_use) & (self.plan.payload.first | as_begun)),
            self.plan.valid.eq(checked & legal & ~failed),
            self.illegal.eq(checked & ~legal & ~failed),
        ]
        with m.If(self.illegal):
            m.d.sync += failed.eq(1)
        with m.If(self.plan.valid & self.plan.ready):
            m.d.sync += bank_in_use.eq(~self.plan.payload.last)
        return m

    def _plan(self, m: Module, fields: data.View, enable: Value) -> tuple[Signal, Signal]:
        """Fills the plan's register.

        Returns, a cycle later, whether its fields are in range, and whether it has as many pixels as the
        last accepted plan.
        """
        plan = Signal(plan_layout(bool(self.config.attention_lanes)), reset_less=True)
        source = Signal(signed(WORD_ADDRESS + 2), reset_less=True)
        origin = Signal(signed(len(fields.origin_y) + len(fields.row_pitch)), reset_less=True)
        pixels = Signal(len(fields.height) + len(fields.width), reset_less=True)
        begun = Signal.like(pixels)     # of the bank in use, else zero, so that equal states compare equal
        counted, fits, as_begun = (Signal(name=name, reset_less=True) for name in ("counted", "fits", "as_begun"))
        computed = {
            "row_step": fields.row_pitch * fields.stride_y,
            "tap_step": fields.row_pitch * fields.dilation_y,
        }
        if self.config.attention_lanes:
            computed["centred"] = fields.opcode == CentredConvolve.OPCODE
        with m.If(enable):
            m.d.sync += [getattr(plan, name).eq(value) for name, value in computed.items()]
            fields_of_plan = (name for name, _ in plan_layout(bool(self.config.attention_lanes)))
            m.d.sync += [getattr(plan, name).eq(getattr(fields, name)) for name in fields_of_plan
                         if name not in computed and name != "address"]
            m.d.sync += [
                source.eq(fields.source + fields.origin_x),
                origin.eq(fields.origin_y * fields.row_pitch),
                pixels.eq(fields.height * fields.width),
                counted.eq(Cat(getattr(fields, name).any() for name in COUNTS).all() & ~fields.reserved.any()),
            ]
        m.d.sync += [
            plan.address.eq(source + origin),
            fits.eq(counted & (pixels <= self.config.accumulator_depth)), as_begun.eq(pixels == begun),
        ]
        with m.If(self.plan.valid & self.plan.ready):
            m.d.sync += begun.eq(Mux(self.plan.payload.last, 0, pixels))
        m.d.comb += self.plan.payload.eq(plan)
        return fits, as_begun
