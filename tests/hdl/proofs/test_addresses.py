"""Address generators: every requested word is one that the instruction describes, and is in the scratchpad."""

from amaranth.hdl import Cat, Mux, Signal, Value
from amaranth.lib import data
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.array.streamer import Streamer
from arrayloom.hdl.interfaces import bank_of
from arrayloom.hdl.post.records import REGION, WINDOW
from arrayloom.hdl.post.walk import RegionWalk, WindowWalk
from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import EXTENT, STRIDE, WORD_ADDRESS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG = PRESETS["tiny"]


class Region(Harness):
    """``RegionWalk``: rows of words, counted independently with counters wide enough for every sum."""

    def describe(self) -> None:
        m, unit = self.m, RegionWalk(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        fresh, place = unit.region.payload, unit.place.payload
        takes = unit.region.valid & unit.region.ready
        self.assume("no region is empty, as Decode ensures", ~unit.region.valid | (fresh.width.any() & fresh.height.any()))
        region = Signal(REGION, name="region_taken")
        start, reached = (Signal(WORD_ADDRESS + 2, name=name) for name in ("row_start", "next_word"))
        left, rows = (Signal(EXTENT, name=name) for name in ("words_left", "rows_left"))
        offered, goes = unit.place.valid, unit.place.valid & unit.place.ready
        with m.If(takes):
            m.d.sync += [region.eq(fresh), start.eq(fresh.start), reached.eq(fresh.start), left.eq(fresh.width),
                         rows.eq(fresh.height)]
        with m.Elif(goes & (left == 1)):
            m.d.sync += [start.eq(start + region.pitch), reached.eq(start + region.pitch), left.eq(region.width),
                         rows.eq(rows - 1)]
        with m.Elif(goes):
            m.d.sync += [reached.eq(reached + 1), left.eq(left - 1)]
        walking = inside["active"] & ~unit.beyond
        self.claim("each word is the region's next", ~offered | (place.address == reached))
        self.claim("it is in the scratchpad", ~offered | (reached < CONFIG.activation_words))
        self.claim("the bank is that of the address", ~offered | (place.bank == bank_of(place.address, CONFIG)))
        self.claim("last marks the last word", ~offered | (place.last == ((left == 1) & (rows == 1))))
        self.claim("a region that leaves is faulted", ~self.past(walking & (reached >= CONFIG.activation_words))
                   | unit.beyond)
        self.claim("for ever", ~self.past(unit.beyond) | (unit.beyond & ~offered))
        self.claim("what waits stays", ~self.past(offered & ~unit.place.ready) | offered & (
            self.past(place.as_value()) == place.as_value()))
        self._registers(inside, walking, region, (start, reached, left, rows))
        self.cover("a second row is offered", offered & (rows == 1) & (region.height == 2))
        self.cover("a region leaves", unit.beyond)

    def _registers(self, inside: Inside, walking: Value, region: data.View, counts: tuple[Value, ...]) -> None:
        start, reached, left, rows = counts
        now = inside["now"]
        within = ~walking | (reached >= CONFIG.activation_words)
        self.claim("the address is kept", ~walking | (Cat(inside["address"], inside["over"]) == reached))
        self.claim("the row is kept", within | ((now.start == start) & (start <= reached)))
        self.claim("counts are kept", ~walking | ((now.width == left - 1) & (now.height == rows - 1)
                                                  & (left != 0) & (rows != 0)))
        self.claim("ends are known", ~walking | ((inside["last_word"] == (left == 1))
                                                 & (inside["last_row"] == (rows == 1))))
        self.claim("shape is kept", ~walking | ((inside["width"] == region.width - 1) & (now.pitch == region.pitch)
                                                & region.width.any()))
        self.claim("no sum is too large", ~walking | (reached < 2 << WORD_ADDRESS))


class Window(Harness):
    """``WindowWalk``: the word of a tap, computed with bits for every product and sum."""

    def describe(self) -> None:
        m, unit = self.m, WindowWalk(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        shape, iy, ix = data.View(WINDOW, inside["shape"].as_value()), inside["iy"], inside["ix"]
        advance, active, working = inside["advance"], inside["active"], inside["working"]
        word = shape.source + Cat(iy[:EXTENT] * shape.row_pitch) + ix
        lies = (iy >= 0) & (iy < shape.source_height) & (ix >= 0) & (ix < shape.source_width)
        words = [Signal(40, name=f"word_{stage}") for stage in range(2)]
        inner = [Signal(name=f"inside_{stage}") for stage in range(2)]
        with m.If(advance & active):
            m.d.sync += [words[0].eq(word), inner[0].eq(lies)]
        with m.If(advance & working):
            m.d.sync += [words[1].eq(words[0]), inner[1].eq(inner[0])]
        tap = unit.tap.payload
        offered = unit.tap.valid
        row, column = inside["row"], inside["column"]
        self.claim("a tap in progress is checked", ~working | (inside["held"].inside == inner[0]))
        self.claim("row and column add up to the tap's word", ~(working & inner[0]) | (row + column == words[0]))
        self.claim("a tap is inside if its pixel lies in the source", ~offered | (tap.inside == inner[1]))
        near = words[1] < 1 << WORD_ADDRESS
        self.claim("far words are detected", ~(offered & inner[1]) | near | inside["far"] | inside["total"][WORD_ADDRESS])
        self.claim("its word is its pixel's", ~(offered & inner[1] & near) | (tap.address == words[1]) & ~inside["far"]
                   & (inside["total"] == words[1]))
        self.claim("the bank is that of the address", ~offered | (tap.bank == bank_of(tap.address, CONFIG)))
        out = self.past(offered & tap.inside & (words[1] >= CONFIG.activation_words))
        self.claim("exactly words beyond the scratchpad are faults", unit.beyond == out)
        self.stays("tap", offered, unit.tap.ready, tap)
        self.cover("a tap is inside", offered & tap.inside)
        self.cover("a tap is outside", offered & ~tap.inside)


class Pixels(Harness):
    """``Streamer``: ``row`` is the word of column 0; it moves by ``row_step`` per row, as y moves by its stride.

    The decoder computes ``row_step`` as the product of stride and pitch; a sum of products equals the product of the sum.
    """

    def describe(self) -> None:
        m, unit = self.m, Streamer(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        new, takes = unit.step.payload, unit.step.valid & unit.step.ready
        step, y, x = inside["step"], inside["y"], inside["x"]
        bits = len(inside["address"])
        row = Signal(bits, name="word_of_column_0")
        row_ends = inside["working"] & inside["row_end"] & ~takes
        highest = 1 << len(x) - 1
        self.assume("columns fit their shape, which coordinate() makes wide enough",
                    ~inside["working"] | (x < highest - (1 << STRIDE)))
        m.d.sync += row.eq(Mux(takes, new.address - new.x, Mux(row_ends, row + step.row_step, row)))
        self.claim("the address is the row plus the column", ~inside["working"] | (inside["address"] == (row + x)[:bits]))
        self.claim("the row begins at its first column", ~inside["working"] | (inside["row"] == (row + step.x)[:bits]))
        working = self.past(inside["working"])
        lies = self.past((y >= 0) & (y < step.source_height) & (x >= 0) & (x < step.source_width))
        word = self.past((row + x)[:bits])
        self.claim("a word is read exactly if its pixel lies in the source", unit.read == (working & lies))
        self.claim("the word is that of the pixel", ~unit.read | (unit.address == word[:WORD_ADDRESS]))
        self.claim("exactly words beyond the scratchpad are faults", unit.beyond == (
            unit.read & (word >= CONFIG.activation_words)))
        self.claim("the bank is that of the address", ~unit.read | (unit.bank == bank_of(word[:WORD_ADDRESS], CONFIG)))
        self.claim("other pixels are padding", ~working | (unit.outside == ~lies))
        self.cover("a word is read", unit.read)


PROOFS = [
    Proof("words of a region", "post",
          "RegionWalk offers exactly the words of the region, row by row, none outside the scratchpad, and reports when the "
          "region leaves it.", Region, cover_depth=8, slow_faults=True, faults=[
              Fault("a word outside is offered", RegionWalk.elaborate, "active & ~outside & ~self.beyond", "active"),
              Fault("rows are a word longer", RegionWalk.elaborate, "last_word.eq(width == 0)", "last_word.eq(0)"),
              Fault("the end is forgotten", RegionWalk.elaborate, "self.beyond.eq(1)", "self.beyond.eq(0)")]),
    Proof("words under a window", "post",
          "WindowWalk reads the word of each tap's pixel inside the source, and reports words outside the scratchpad.",
          Window, cover_depth=8, slow_faults=True, faults=[
              Fault("a row before the source is in it", WindowWalk._address, "(iy >= 0) &", ""),
              Fault("a carry is lost", WindowWalk._address, "| column[WORD_ADDRESS]", ""),
              Fault("the product's upper bits are lost", WindowWalk._address, "row[WORD_ADDRESS:].any()",
                    "row[WORD_ADDRESS + 1:].any()")]),
    Proof("words of pixels", "array",
          "Streamer reads exactly the pixels inside the source, each from the word of its row and column, and reports "
          "words outside the scratchpad.", Pixels, cover_depth=6, slow_faults=True, faults=[
              Fault("a column too many", Streamer.elaborate, "x.as_unsigned() < step.source_width",
                    "x.as_unsigned() <= step.source_width"),
              Fault("the next row begins where this one ended", Streamer._walk, "row + step.row_step",
                    "address + step.row_step")]),
]
