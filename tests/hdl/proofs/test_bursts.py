"""Bursts: the requests on the bus, for any region, base and window."""

from collections.abc import Callable

from amaranth.hdl import Mux, Signal, Value
from amaranth.lib import data
from amaranth.utils import exact_log2
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.bursts import CHIP_END, Bursts, Place, region_layout
from arrayloom.hdl.load import longest_burst
from arrayloom.isa.bus import ADDRESS_BITS, PAGE_BYTES
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.instructions import EXTENT, MEMORY_PITCH, TRANSFER, WORD_ADDRESS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class Rules(Harness):
    """The claims have their own counters of rows and words; the others relate the registers to those counters."""

    def __init__(self, config: Config, longest: int) -> None:
        super().__init__()
        self.config, self.longest = config, longest

    def describe(self) -> None:
        self.unit = unit = Bursts(self.config, self.longest)
        inside = self.place(unit)
        self.shift = exact_log2(self.config.size)
        self.bits = ADDRESS_BITS - self.shift   # for the number of a word
        self.base = self.fixed("base", ADDRESS_BITS)
        low, high = (self.fixed(name, self.bits) for name in ("low", "high"))
        self.drive(unit, base=self.base, window__low=low, window__high=high)
        self.region = data.View(region_layout(), unit.current)
        self.working = inside.state("SIZE") | inside.state("OFFER")
        self._cover_exactly(inside)
        self._rules(low, high)
        self._registers(inside, low, high)
        self.cover("a second run is offered", unit.burst.valid & (self.row == 1) & (self.region.rows == 2))
        self.cover("a burst ends with its page", unit.burst.valid & (self.left == 5) & (unit.burst.payload.words == 2)
                   & (self.region.words == 5))
        self.cover("a region is refused", unit.illegal)
        self.cover("a run leaves the window", unit.outside & (self.row == 1) & (self.region.rows == 2))

    def _cover_exactly(self, inside: Inside) -> None:
        """In each row, from its first word to its last, each burst begins where the previous one ended.

        ``start`` and ``next`` are the first words of the row and of the next burst, relative to the base.
        """
        m, unit, burst, region = self.m, self.unit, self.unit.burst.payload, self.region
        self.start, self.next = (Signal(self.bits + 1, name=name) for name in ("row_start", "next_word"))
        self.chip_start, self.chip_next = (Signal(CHIP_END, name=name) for name in ("row_start_on_chip", "next_on_chip"))
        self.left, self.row = Signal(TRANSFER, name="words_left"), Signal(EXTENT, name="rows_left")
        row_ends, last_row = burst.words == self.left, self.row == 1
        with m.If(unit.region.valid & unit.region.ready):
            fresh = unit.region.payload
            m.d.sync += [signal.eq(fresh.address[self.shift:]) for signal in (self.start, self.next)]
            m.d.sync += [signal.eq(fresh.chip) for signal in (self.chip_start, self.chip_next)]
            m.d.sync += [self.left.eq(fresh.words), self.row.eq(fresh.rows)]
        with m.Elif(unit.burst.valid & unit.burst.ready & row_ends):
            m.d.sync += [signal.eq(self.start + region.memory_pitch) for signal in (self.start, self.next)]
            m.d.sync += [signal.eq(self.chip_start + region.chip_pitch) for signal in (self.chip_start, self.chip_next)]
            m.d.sync += [self.left.eq(region.words), self.row.eq(self.row - 1)]
        with m.Elif(unit.burst.valid & unit.burst.ready):
            m.d.sync += [self.next.eq(self.next + burst.words), self.chip_next.eq(self.chip_next + burst.words),
                         self.left.eq(self.left - burst.words)]
        offered = unit.burst.valid
        taken = self.past(unit.region.valid & unit.region.ready)
        self.claim("it processes the accepted region", ~taken | (region.as_value() == self.past(unit.region.payload)))
        self.claim("memory is covered word by word",
                   ~offered | (burst.address == (self.base[self.shift:] + self.next)[:self.bits] << self.shift))
        self.claim("the scratchpad is covered word by word", ~offered | (burst.chip == self.chip_next[:WORD_ADDRESS]))
        self.claim("no burst is longer than the rest of its row", ~offered | (burst.words <= self.left))
        self.claim("there is a row left", ~offered | (self.row != 0))
        self.claim("last marks the last word", ~offered | (burst.final == (row_ends & last_row)))
        last = self.past(offered & unit.burst.ready & burst.final)
        self.claim("it is free exactly after the last burst", ~self.past(offered & unit.burst.ready)
                   | (unit.region.ready == last))

    def _rules(self, low: Value, high: Value) -> None:
        unit, burst = self.unit, self.unit.burst.payload
        offered, words = unit.burst.valid, PAGE_BYTES // self.config.size
        in_page = burst.address[self.shift:exact_log2(PAGE_BYTES)]
        self.claim("no burst is empty", ~offered | (burst.words != 0))
        self.claim("none is too long", ~offered | (burst.words <= self.longest))
        self.claim("none crosses a page", ~offered | (in_page + burst.words <= words))
        self.claim("none leaves the window", ~offered | ((self.next >= low) & (self.next + burst.words <= high)))
        self.claim("none leaves the scratchpad", ~offered | (self.region.place != Place.ACTIVATIONS)
                   | (burst.chip + burst.words <= self.config.activation_words))
        self.claim("each burst has the maximal length", ~offered | (burst.words == self._most(in_page, words)))
        self.stays("burst", offered, unit.burst.ready, burst)
        stopped = self.past(unit.illegal | unit.outside)
        self.claim("a fault is permanent", ~stopped | (~offered & ~unit.region.ready & (unit.illegal | unit.outside)))

    def _most(self, in_page: Value, words: int) -> Value:
        left, room = self.left, words - in_page
        most = Mux(room < self.longest, room, self.longest)
        return Mux(left < most, left, most)

    def _registers(self, inside: Inside, low: Value, high: Value) -> None:
        unit, region, working = self.unit, self.region, self.working
        machine, base = inside["fsm_state"], self.base[self.shift:]

        def holds(name: str, condition: Value) -> None:
            self.claim(name, ~working | condition)

        self.claim("the state machine is in a valid state", machine <= 5)
        self.claim("idle is a state", unit.idle == inside.state("IDLE"))
        holds("the region is not empty", (self.left != 0) & (self.row != 0) & (self.left <= region.words))
        holds("the region lies at words", (region.address[:self.shift] == 0) & (self.base[:self.shift] == 0))
        holds("words and rows are counted", (unit.left == self.left) & (unit.rows == self.row))
        holds("the run begins the row", unit.run == (base + self.start)[:self.bits])
        holds("the address is the next", unit.address == (base + self.next)[:self.bits])
        holds("the run begins the row on chip, and the next word follows",
              (unit.chip_run == self.chip_start[:WORD_ADDRESS]) & (unit.chip == self.chip_next[:WORD_ADDRESS]))
        end = unit.memory_end
        holds("the run's end is its own", end == self.start + region.words)
        holds("the rest of the run ends there", end == self.next + self.left)
        holds("the run begins within the window", (self.start >= low) & (self.next >= self.start))
        holds("it does not wrap", self.start < (1 << self.bits) + (1 << MEMORY_PITCH))
        on_chip, chip_end = region.place == Place.ACTIVATIONS, unit.chip_end
        holds("the rest of the run ends there on chip", ~on_chip | (chip_end == self.chip_next + self.left))
        holds("the run ends there", ~on_chip | (chip_end == self.chip_start + region.words))
        holds("it does not wrap on chip", ~on_chip | (self.chip_start < 2 << WORD_ADDRESS))
        self.claim("a run that is offered was checked", ~unit.burst.valid | ((end <= high) & (
            ~on_chip | (chip_end <= self.config.activation_words))))
        offered = unit.burst.valid
        self.claim("the end of a run is known", ~offered | (unit.ends_run == (unit.words == unit.left)))
        self.claim("the end of the region is known", ~offered | (unit.final == (unit.ends_run & (unit.rows == 1))))
        begins = inside.state("BEGIN")
        self.claim("the first row begins at the region's addresses", ~begins | (
            (self.start == region.address[self.shift:]) & (self.next == self.start) & (self.chip_start == region.chip)
            & (self.chip_next == region.chip) & (self.left == region.words) & (self.row == region.rows)))


def _rules(preset: str) -> Callable[[], Harness]:
    config = PRESETS[preset]
    return lambda: Rules(config, longest_burst(config))


CLAIM = ("No burst is empty, too long, crosses 4 KiB, or leaves the window or the scratchpad; together the bursts cover "
         "exactly the region's runs ({}).")
APART = ("the address is the next", "the run begins the row")
FAULTS = [
    Fault("a page may be crossed", Bursts._size, "Mux(page_ends, room, longest)", "Mux(page_ends, longest, longest)"),
    Fault("the window's end is one word late", Bursts._check, "self.memory_end > self.window.high",
          "self.memory_end > self.window.high + 1"),
    Fault("the window's start is not checked", Bursts._begin, "current.address[self.shift:] < self.window.low", "0"),
    Fault("the scratchpad's end is not checked", Bursts._check, "with m.If(outside &", "with m.If(0 & outside &"),
    Fault("empty regions are accepted", Bursts._begin, "(current.rows == 0) |", ""),
    Fault("the row pitch is ignored", Bursts._advance, "self.memory_end + self.current.memory_pitch", "self.memory_end"),
    Fault("the second run is checked like the first", Bursts._advance,
          "self.chip_end.eq(self.chip_end + self.current.chip_pitch)",
          "self.chip_end.eq(self.chip_end)"),
]
PROOFS = [
    Proof("bursts of tiny", "load", CLAIM.format("tiny"), _rules("tiny"), faults=FAULTS, cover_depth=16, apart=APART,
          slow=True),
    Proof("bursts of 64x64", "load", CLAIM.format("64x64"), _rules("64x64"), faults=FAULTS, cover_depth=16, apart=APART,
          slow=True),
]
