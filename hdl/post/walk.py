"""Address generators: the words of a region, and the words under a window that slides over one."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import bank_of, coordinate, leaves_scratchpad
from arrayloom.hdl.post.records import REGION, WINDOW, Origin
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import EXTENT, WORD_ADDRESS, Pool

_COORDINATE = coordinate(Pool, (1 << EXTENT) - 1)

_TAP = data.StructLayout({"origin": Origin, "inside": 1, "first": 1, "last": 1})
_COUNTS = ("height", "width", "taps_y", "taps_x")
_LEFT = data.StructLayout({name: WINDOW[name].shape for name in _COUNTS})
_LAST = data.StructLayout(dict.fromkeys(_COUNTS, 1))


def place_layout(config: Config) -> data.StructLayout:
    """A word of a region, with its bank in the scratchpad; ``last`` of its region."""
    return data.StructLayout({"address": WORD_ADDRESS, "bank": range(config.activation_banks), "last": 1})


def tap_layout(config: Config) -> data.StructLayout:
    """A word under a window, with its bank in the scratchpad.

    ``inside``: there is a word at the address; ``first`` tap of the instruction; ``last`` tap of its output.
    """
    return data.StructLayout({"address": WORD_ADDRESS} | dict(_TAP.members) | {"bank": range(config.activation_banks)})


class RegionWalk(Component):
    """The addresses of regions; one idle cycle between two keeps the end of a region off the critical path.

    A region that leaves the scratchpad stops at its end; no place is offered from then on until reset.

    Parameters
    ----------
    config : Config

    Members
    -------
    region : In(stream.Signature(REGION))
    place : Out(stream.Signature(place_layout(config)))
    beyond : Out(1)
        A region has left the scratchpad.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"region": In(stream.Signature(REGION)), "place": Out(stream.Signature(place_layout(config))),
                          "beyond": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        active, step = Signal(name="active"), Signal()
        now = Signal(REGION, reset_less=True)   # height and width: remaining rows and words, without the current one
        # One bit wider than an address: the first word beyond the scratchpad is less than a row pitch above one
        # within, and a row pitch has fewer bits.
        width, address, over = (Signal(bits, name=name, reset_less=True)
                                for name, bits in (("width", EXTENT), ("address", WORD_ADDRESS), ("over", 1)))
        reached = Cat(address, over)
        # none left, computed when counting
        last_row, last_word = (Signal(name=name, reset_less=True) for name in ("last_row", "last_word"))
        last = last_row & last_word
        place, outside = self.place, leaves_scratchpad(reached, self.config)
        with m.If(active & outside):
            m.d.sync += self.beyond.eq(1)
        m.d.comb += [
            place.valid.eq(active & ~outside & ~self.beyond), place.payload.address.eq(address),
            place.payload.bank.eq(bank_of(address, self.config)),
            place.payload.last.eq(last),
            step.eq(active & place.ready), self.region.ready.eq(~active),
        ]
        fresh = self.region.payload
        with m.If(~active):
            m.d.sync += [active.eq(self.region.valid), now.eq(fresh), reached.eq(fresh.start), width.eq(fresh.width - 1),
                         now.width.eq(fresh.width - 1), now.height.eq(fresh.height - 1),
                         last_word.eq(fresh.width == 1), last_row.eq(fresh.height == 1)]
        with m.Elif(step & last):
            m.d.sync += active.eq(0)
        with m.Elif(step & ~last_word):
            m.d.sync += [reached.eq(address + 1), now.width.eq(now.width - 1), last_word.eq(now.width == 1)]
        with m.Elif(step):
            row = now.start + now.pitch
            m.d.sync += [reached.eq(row), now.start.eq(row), now.width.eq(width), last_word.eq(width == 0),
                         now.height.eq(now.height - 1), last_row.eq(now.height == 1)]
        return m


class WindowWalk(Component):
    """The taps of each output of a pool, output by output in raster order; one idle cycle separates instructions.

    Parameters
    ----------
    config : Config

    Members
    -------
    window : In(stream.Signature(WINDOW))
    tap : Out(stream.Signature(tap_layout(config)))
    beyond : Out(1)
        A pulse after a tap whose word is inside the source but beyond the scratchpad's end.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({"window": In(stream.Signature(WINDOW)), "tap": Out(stream.Signature(tap_layout(config))),
                          "beyond": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        active, advance = Signal(name="active"), Signal()
        shape = Signal(WINDOW, reset_less=True)
        left = Signal(_LEFT, reset_less=True)
        last = Signal(_LAST, reset_less=True)       # which of them are zero, computed when counting
        finished = last.as_value().all()
        tap = self.tap
        m.d.comb += [advance.eq(~tap.valid | tap.ready), self.window.ready.eq(~active)]
        first, iy, ix = Signal(reset_less=True), *(Signal(_COORDINATE, name=n, reset_less=True) for n in ("iy", "ix"))
        base_y, base_x = (Signal(_COORDINATE, name=n, reset_less=True) for n in ("base_y", "base_x"))
        with m.If(~active):
            fresh = self.window.payload
            m.d.sync += [active.eq(self.window.valid), shape.eq(fresh), first.eq(1)]
            m.d.sync += [left[name].eq(fresh[name] - 1) for name in _COUNTS]
            m.d.sync += [last[name].eq(fresh[name] == 1) for name in _COUNTS]
            m.d.sync += [iy.eq(fresh.origin_y), base_y.eq(fresh.origin_y), ix.eq(fresh.origin_x), base_x.eq(fresh.origin_x)]
        with m.Elif(advance):
            m.d.sync += [active.eq(~finished), first.eq(0)]
            self._step(m, shape, (left, last), (iy, ix), (base_y, base_x))
        self._address(m, tap, active, advance, shape, (iy, ix), first, last.taps_y & last.taps_x)
        return m

    @staticmethod
    def _step(m: Module, shape: data.View, counts: tuple[data.View, data.View],
              at: tuple[Value, Value], base: tuple[Value, Value]) -> None:
        """Advances to the next tap of this window, or to the first tap of the next window."""
        left, last = counts
        iy, ix = at
        base_y, base_x = base
        next_y, next_x = base_y + shape.stride_y, base_x + shape.stride_x

        def down(name: str) -> list[Any]:
            return [left[name].eq(left[name] - 1), last[name].eq(left[name] == 1)]

        def again(name: str) -> list[Any]:
            return [left[name].eq(shape[name] - 1), last[name].eq(shape[name] == 1)]

        with m.If(~last.taps_x):
            m.d.sync += [*down("taps_x"), ix.eq(ix + shape.dilation_x)]
        with m.Else():
            m.d.sync += again("taps_x")
            with m.If(~last.taps_y):
                m.d.sync += [*down("taps_y"), ix.eq(base_x), iy.eq(iy + shape.dilation_y)]
            with m.Else():
                m.d.sync += again("taps_y")
                with m.If(~last.width):
                    m.d.sync += [*down("width"), ix.eq(next_x), base_x.eq(next_x), iy.eq(base_y)]
                with m.Else():
                    m.d.sync += [*again("width"), *down("height"),
                                 ix.eq(shape.origin_x), base_x.eq(shape.origin_x), iy.eq(next_y), base_y.eq(next_y)]

    def _address(self, m: Module, tap: stream.Interface, active: Value, advance: Value,
                 shape: data.View, at: tuple[Value, Value], first: Value, last: Value) -> None:
        """Two stages: row times pitch in parallel with source plus column, then their sum; too large values are detected
        later.

        No part of an address inside the source is negative, so it is at least as large as indicated by its bits above those
        of ``WORD_ADDRESS``.
        """
        iy, ix = at
        row, column = (Signal(bits, name=name, reset_less=True) for name, bits in (
            ("row", EXTENT + len(shape.row_pitch)), ("column", WORD_ADDRESS + 1)))
        held, out = (Signal(_TAP, name=name, reset_less=True) for name in ("held", "out"))
        total, far = Signal(WORD_ADDRESS + 1, name="total", reset_less=True), Signal(name="far", reset_less=True)
        working = Signal()
        inside = (iy >= 0) & (iy < shape.source_height) & (ix >= 0) & (ix < shape.source_width)
        with m.If(advance):
            m.d.sync += [working.eq(active), tap.valid.eq(working)]
        with m.If(advance & active):
            m.d.sync += [
                row.eq(iy[:EXTENT] * shape.row_pitch), column.eq(shape.source + ix), held.origin.eq(shape.origin),
                held.inside.eq(inside), held.first.eq(first), held.last.eq(last),
            ]
        with m.If(advance & working):
            m.d.sync += [out.eq(held), total.eq(row[:WORD_ADDRESS] + column[:WORD_ADDRESS]),
                         far.eq(row[WORD_ADDRESS:].any() | column[WORD_ADDRESS])]
        m.d.sync += self.beyond.eq(tap.valid & out.inside & (far | leaves_scratchpad(total, self.config)))
        m.d.comb += [tap.payload[name].eq(out[name]) for name in _TAP.members]
        m.d.comb += [tap.payload.address.eq(total), tap.payload.bank.eq(bank_of(total, self.config))]
