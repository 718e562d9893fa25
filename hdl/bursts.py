"""Cuts two-dimensional transfers into bursts."""

from enum import IntEnum
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import exact_log2

from arrayloom.hdl.windows import window_signature
from arrayloom.isa.bus import ADDRESS_BITS, BURST_WORDS, PAGE_BYTES
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import ADDRESS, EXTENT, MEMORY_PITCH, TRANSFER, WORD_ADDRESS

CHIP_END = TRANSFER + 1     # bits of the word number after a run on chip


class Place(IntEnum):
    """The on-chip side of a transfer; only ACTIVATIONS has addresses."""

    ACTIVATIONS = 0
    WEIGHTS = 1
    PARAMETERS = 2
    TABLES = 3


def region_layout() -> data.StructLayout:
    """A transfer of ``rows`` runs of ``words`` words each.

    The first starts at byte ``address`` after the base and at word ``chip`` of ``place``; the next are ``memory_pitch``
    and ``chip_pitch`` words further.
    """
    return data.StructLayout({
        "address": ADDRESS, "chip": WORD_ADDRESS, "words": TRANSFER, "rows": EXTENT,
        "memory_pitch": MEMORY_PITCH, "chip_pitch": WORD_ADDRESS, "place": Place,
    })


def burst_layout() -> data.StructLayout:
    """A burst of ``words`` words between byte ``address`` of memory and word ``chip``; ``final``: the region's last."""
    return data.StructLayout({
        "address": ADDRESS_BITS, "chip": WORD_ADDRESS, "words": range(BURST_WORDS + 1), "final": 1, "place": Place,
    })


class Bursts(Component):
    """Cuts each region into bursts that do not cross a page; one every other cycle.

    Parameters
    ----------
    config : Config
        ``size`` is the bytes in a word, ``activation_words`` the end of the scratchpad.
    longest : int
        Most words in a burst: a power of two up to ``BURST_WORDS``.

    Members
    -------
    base : In(ADDRESS_BITS)
        Byte address that is added to the address of every region.
    window : In(window_signature(config))
        The part of memory that may be accessed.
    region : In(stream.Signature(region_layout()))
    burst : Out(stream.Signature(burst_layout()))
    illegal : Out(1)
        The region is empty, not made of whole words, or leaves the scratchpad; no burst is offered from then on until reset.
    outside : Out(1)
        A run of the region leaves the window; no burst of it is offered, nor any other until reset.
    outside_address : Out(ADDRESS_BITS)
        With ``outside``: byte address of that run.
    """

    def __init__(self, config: Config, longest: int = BURST_WORDS) -> None:
        if longest & (longest - 1) or not 1 <= longest <= BURST_WORDS:
            raise ValueError(f"longest = {longest}: must be a power of two from 1 to {BURST_WORDS} words")
        self.config, self.longest = config, longest
        super().__init__({
            "base": In(ADDRESS_BITS),
            "window": In(window_signature(config)),
            "region": In(stream.Signature(region_layout())),
            "burst": Out(stream.Signature(burst_layout())),
            "illegal": Out(1),
            "outside": Out(1),
            "outside_address": Out(ADDRESS_BITS),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.shift = exact_log2(self.config.size)
        word_address = ADDRESS_BITS - self.shift
        self.current = Signal(region_layout(), reset_less=True)
        self.address, self.run = (Signal(word_address, reset_less=True, name=name) for name in ("address", "run"))
        self.chip, self.chip_run = (Signal(WORD_ADDRESS, reset_less=True, name=name) for name in ("chip", "chip_run"))
        self.chip_end = Signal(CHIP_END, reset_less=True)
        # the word after a run, relative to the base; a checked run ends within the window, and the next one is a pitch
        # further
        self.memory_end = Signal(word_address + 1, reset_less=True)
        self.left, self.rows = (Signal(shape, reset_less=True, name=name) for name, shape in (
            ("left", TRANSFER), ("rows", EXTENT)))
        self.words, self.ends_run, self.final = (Signal(shape, reset_less=True, name=name) for name, shape in (
            ("words", range(BURST_WORDS + 1)), ("ends_run", 1), ("final", 1)))
        burst = self.burst.payload
        m.d.comb += [
            burst.address.eq(Cat(Const(0, self.shift), self.address)), burst.chip.eq(self.chip),
            burst.words.eq(self.words), burst.final.eq(self.final), burst.place.eq(self.current.place),
            self.outside_address.eq(Cat(Const(0, self.shift), self.run)),
        ]
        self.idle = Signal(init=1)
        m.d.comb += self.region.ready.eq(self.idle)
        self._size(m)
        self._control(m)
        return m

    def _control(self, m: Module) -> None:
        with m.FSM():
            with m.State("IDLE"), m.If(self.region.valid):
                m.d.sync += [self.current.eq(self.region.payload), self.idle.eq(0)]
                m.next = "BEGIN"
            with m.State("BEGIN"):
                self._begin(m)
            with m.State("SIZE"):
                self._check(m)
            with m.State("OFFER"):
                m.d.comb += self.burst.valid.eq(1)
                with m.If(self.burst.ready):
                    self._advance(m)
            with m.State("ILLEGAL"):
                m.d.comb += self.illegal.eq(1)
            with m.State("OUTSIDE"):
                m.d.comb += self.outside.eq(1)

    def _begin(self, m: Module) -> None:
        current = self.current
        absolute = Signal(ADDRESS_BITS)
        m.d.comb += absolute.eq(current.address + self.base)
        m.d.sync += [
            self.address.eq(absolute[self.shift:]), self.run.eq(absolute[self.shift:]),
            self.chip.eq(current.chip), self.chip_run.eq(current.chip), self.chip_end.eq(current.chip + current.words),
            self.left.eq(current.words), self.rows.eq(current.rows),
            self.memory_end.eq(current.address[self.shift:] + current.words),
        ]
        misaligned = (current.address[:self.shift] | self.base[:self.shift]).any()
        with m.If((current.words == 0) | (current.rows == 0) | misaligned):
            m.next = "ILLEGAL"
        with m.Elif(current.address[self.shift:] < self.window.low):
            m.next = "OUTSIDE"
        with m.Else():
            m.next = "SIZE"

    def _size(self, m: Module) -> None:
        """Registers the length of the next burst: the minimum of the rest of the run, the rest of the page and the longest
        burst.

        Updated in every cycle; while the burst is offered, its length does not change.
        """
        longest, bits = self.longest, exact_log2(self.longest)
        in_page = self.address[:exact_log2(PAGE_BYTES // self.config.size)]
        left = self.left[:bits + 1]
        room, page_ends, short, ends_run = Signal(range(longest + 1)), Signal(), Signal(), Signal()
        m.d.comb += [
            page_ends.eq(in_page[bits:].all()), room.eq(longest - in_page[:bits]), short.eq(~self.left[bits + 1:].any()),
            ends_run.eq(short & Mux(page_ends, left + in_page[:bits] <= longest, left <= longest)),
        ]
        m.d.sync += [self.words.eq(Mux(ends_run, left, Mux(page_ends, room, longest))), self.ends_run.eq(ends_run),
                     self.final.eq(ends_run & (self.rows == 1))]

    def _check(self, m: Module) -> None:
        top = exact_log2(self.config.activation_words)
        outside = self.chip_end[top + 1:].any() | (self.chip_end[top] & self.chip_end[:top].any())
        with m.If(outside & (self.current.place == Place.ACTIVATIONS)):
            m.next = "ILLEGAL"
        with m.Elif(self.memory_end > self.window.high):
            m.next = "OUTSIDE"
        with m.Else():
            m.next = "OFFER"

    def _advance(self, m: Module) -> None:
        def step(position: tuple[Signal, Signal], pitch: Value) -> Value:
            return Mux(self.ends_run, position[0], position[1]) + Mux(self.ends_run, pitch, self.words)

        address, chip = Signal.like(self.address), Signal.like(self.chip)
        m.d.comb += [address.eq(step((self.run, self.address), self.current.memory_pitch)),
                     chip.eq(step((self.chip_run, self.chip), self.current.chip_pitch))]
        m.d.sync += [self.address.eq(address), self.chip.eq(chip), self.left.eq(self.left - self.words)]
        with m.If(self.ends_run):
            m.d.sync += [self.run.eq(address), self.chip_run.eq(chip), self.left.eq(self.current.words),
                         self.chip_end.eq(self.chip_end + self.current.chip_pitch), self.rows.eq(self.rows - 1),
                         self.memory_end.eq(self.memory_end + self.current.memory_pitch)]
        with m.If(self.final):
            m.d.sync += self.idle.eq(1)
            m.next = "IDLE"
        with m.Else():
            m.next = "SIZE"
