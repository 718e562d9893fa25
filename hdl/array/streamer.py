"""Expands steps to pixels: requests or pads one activation word per cycle."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.array.signatures import PIXEL, step_layout
from arrayloom.hdl.interfaces import bank_of, leaves_scratchpad
from arrayloom.hdl.pipeline import data_register
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import WORD_ADDRESS


class Streamer(Component):
    """Walks the region of a step; takes the next step with the last pixel of this one.

    A step is taken when it is valid, ``tile_ready`` is set and, for a ``fresh`` step, ``bank_free``. The outputs from
    ``read`` on follow ``REQUEST`` cycles after the cycle that generates the pixel.

    Parameters
    ----------
    config : Config

    Members
    -------
    step : In(stream.Signature(step_layout(config)))
        A transfer means that the step is taken.
    tile_ready : In(1)
        The weights of the step are loaded.
    bank_free : In(1)
        An accumulator bank is empty.
    working : Out(1)
        A pixel is generated in this cycle.
    read : Out(1)
        The pixel lies inside the source: read the word at ``address``.
    address : Out(WORD_ADDRESS)
        Its word in the scratchpad.
    bank : Out(range(activation_banks))
        The bank of that word.
    beyond : Out(1)
        With ``read``: the word is beyond the scratchpad's end.
    outside : Out(1)
        The pixel lies outside the source: every channel is ``padding``.
    padding : Out(8)
        The byte for pixels outside.
    centred : Out(1)
        Where there is an ATTENTION unit: ``padding`` is taken from every byte.
    pixel : Out(PIXEL)
        The pixel's flags.
    retired : Out(1)
        With the last pixel of an instruction.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "step": In(stream.Signature(step_layout(config))),
            "tile_ready": In(1),
            "bank_free": In(1),
            "working": Out(1),
            "read": Out(1),
            "address": Out(WORD_ADDRESS),
            "bank": Out(range(config.activation_banks)),
            "beyond": Out(1),
            "outside": Out(1),
            "padding": Out(8),
            **({"centred": Out(1)} if config.attention_lanes else {}),
            "pixel": Out(PIXEL),
            "retired": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        step = Signal(step_layout(self.config), reset_less=True)
        working = Signal()
        start = Signal(reset_less=True)
        rows, columns = (Signal.like(extent, name=name, reset_less=True)
                         for name, extent in (("rows", step.height), ("columns", step.width)))
        # whether this is the last column and the last row: computed one pixel earlier, since everything after it depends on
        # them
        row_end, last_row = (Signal(name=name, reset_less=True) for name in ("row_end", "last_row"))
        last = Signal()
        m.d.comb += [
            last.eq(row_end & last_row),
            self.working.eq(working),
            self.step.ready.eq((~working | last) & self.tile_ready & (self.bank_free | ~self.step.payload.fresh)),
        ]
        new = self.step.payload
        with m.If(self.step.valid & self.step.ready):
            m.d.sync += [step.eq(new), working.eq(1), start.eq(1), rows.eq(new.height), columns.eq(new.width),
                         row_end.eq(new.width == 1), last_row.eq(new.height == 1)]
        with m.Elif(working):
            m.d.sync += [working.eq(~last), start.eq(0), columns.eq(columns - 1), row_end.eq(columns == 2)]
            with m.If(row_end):
                m.d.sync += [columns.eq(step.width), row_end.eq(step.width == 1),
                             rows.eq(rows - 1), last_row.eq(rows == 2)]
        y, x, address = self._walk(m, step, row_end, working)
        inside = (y.as_unsigned() < step.source_height) & (x.as_unsigned() < step.source_width)
        valid, first, done = Signal(), Signal(), Signal()
        m.d.sync += [
            self.read.eq(working & inside),
            valid.eq(working),
            first.eq(working & start),
            done.eq(working & last & step.final & step.last),
            self.retired.eq(working & last & step.final),
        ]
        held = data_register(m, address, working, "held")
        m.d.comb += [
            self.address.eq(held), self.beyond.eq(self.read & leaves_scratchpad(held, self.config)),
            self.bank.eq(data_register(m, bank_of(address, self.config), working)),
            self.outside.eq(data_register(m, ~inside, working)),
            self.padding.eq(data_register(m, step.padding, working)),
            self.pixel.valid.eq(valid), self.pixel.start.eq(first), self.pixel.done.eq(done),
            self.pixel.fresh.eq(data_register(m, step.fresh, working)),
        ]
        if self.config.attention_lanes:
            m.d.comb += self.centred.eq(data_register(m, step.centred, working))
        return m

    def _walk(self, m: Module, step: data.View, row_end: Value, working: Value) -> tuple[Signal, Signal, Signal]:
        """Source row, column and word of the pixel in raster order."""
        y = Signal.like(step.y, reset_less=True)
        x = Signal.like(step.x, reset_less=True)
        address = Signal.like(step.address, name="word", reset_less=True)
        row = Signal.like(step.address, reset_less=True)
        new = self.step.payload
        with m.If(self.step.valid & self.step.ready):
            m.d.sync += [y.eq(new.y), x.eq(new.x), address.eq(new.address), row.eq(new.address)]
        with m.Elif(working & row_end):
            m.d.sync += [y.eq(y + step.stride_y), x.eq(step.x)]
            m.d.sync += [signal.eq(row + step.row_step) for signal in (address, row)]
        with m.Elif(working):
            m.d.sync += [x.eq(x + step.stride_x), address.eq(address + step.stride_x)]
        return y, x, address
