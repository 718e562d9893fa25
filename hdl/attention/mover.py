"""Squares of words: fed to the array as weights, or turned in the scratchpad."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import bank_of, instruction_layout, leaves_scratchpad, write_port_signature
from arrayloom.hdl.weight_fifo import feed_signature
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import WORD_ADDRESS, FeedWeights, Turn

SQUARES = 2     # one is read while the other is given on


class Mover(Component):
    """Executes FeedWeights and Turn: a square is read, then its rows or columns are given on.

    Parameters
    ----------
    config : Config

    Members
    -------
    fields : In(FIELD_BITS)
        The instruction, which stays until ``done``.
    go : In(1)
        A pulse.
    done : Out(1)
        A pulse: all is written.
    beyond : Out(1)
        A word beyond the scratchpad's end is written.
    full : Out(1)
        The weight FIFO has no room for a word that is there.
    ask : Out(1)
        Of the reader: ``first`` and ``count`` words.
    first : Out(WORD_ADDRESS + 1)
    step : Out(WORD_ADDRESS)
    count : Out(16)
    take : Out(1)
    valid : In(1)
    word : In(word_bits)
        The words that the reader gives.
    feed : Out(feed_signature(config))
    write : Out(write_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "fields": In(FIELD_BITS), "go": In(1), "done": Out(1), "beyond": Out(1), "full": Out(1), "ask": Out(1),
            "first": Out(WORD_ADDRESS + 1), "step": Out(WORD_ADDRESS), "count": Out(16), "take": Out(1), "valid": In(1),
            "word": In(config.word_bits), "feed": Out(feed_signature(config)), "write": Out(write_port_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, operand = self.config.size, signed(self.config.operand_bits)
        feed, turn = (data.View(instruction_layout(cls), self.fields) for cls in (FeedWeights, Turn))
        feeds = feed.opcode == FeedWeights.OPCODE
        squares = [[[Signal(operand, name=f"square_{which}_{row:03}_{column:03}", reset_less=True) for column in range(size)]
                    for row in range(size)] for which in range(SQUARES)]
        source, target = (Signal(WORD_ADDRESS + 1, reset_less=True, name=name) for name in ("source", "target"))
        base = Signal(WORD_ADDRESS + 1, reset_less=True)
        unread, left = (Signal.like(feed.tiles, name=name, reset_less=True) for name in ("unread", "left"))
        row, place = Signal(8, reset_less=True), Signal(8, reset_less=True)
        into, out, full = Signal(), Signal(), Signal(SQUARES)
        zero = Mux(feeds, feed.zero, 0).as_signed()
        m.d.comb += [self.first.eq(source), self.step.eq(1), self.count.eq(feed.rows), self.take.eq(1)]
        with m.If(self.valid):
            m.d.sync += row.eq(row + 1)
            for which, square in enumerate(squares):
                for index in range(size):
                    with m.If((row == index) & (into == which)):
                        m.d.sync += [square[index][column].eq(self.word.word_select(column, 8).as_signed() - zero)
                                     for column in range(size)]
        chosen = Signal(self.config.operand_bits * self.config.size)
        m.d.comb += chosen.eq(Mux(feeds & ~feed.turned, self._straight(squares, out, place, feed.rows),
                                  self._turned(squares, out, place, feed.rows)))
        bits = self.config.operand_bits
        gives, moves, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            gives.eq(full.bit_select(out, 1)), ends.eq(moves & (place == size - 1)),
            self.feed.valid.eq(gives & feeds & self.feed.free.any()), self.write.valid.eq(gives & ~feeds),
            moves.eq(Mux(feeds, self.feed.valid, self.write.valid & self.write.ready)),
            self.feed.data.eq(chosen), self.write.address.eq(target), self.write.bank.eq(bank_of(target, self.config)),
            self.write.data.eq(Cat(chosen.word_select(column, bits)[:8] for column in range(size))),
            self.beyond.eq(self.write.valid & leaves_scratchpad(target, self.config)),
            self.full.eq(gives & feeds & ~self.feed.free.any()), self.done.eq(ends & (left == 1)),
        ]
        with m.If(moves):
            m.d.sync += [place.eq(place + 1), target.eq(target + 1)]
        with m.If(ends):
            m.d.sync += [place.eq(0), left.eq(left - 1), out.eq(~out), full.bit_select(out, 1).eq(0),
                         base.eq(base + turn.destination_pitch), target.eq(base + turn.destination_pitch)]
        with m.FSM(name="mover"):
            with m.State("IDLE"), m.If(self.go):
                m.d.sync += [source.eq(feed.source), unread.eq(feed.tiles), left.eq(feed.tiles), place.eq(0),
                             base.eq(turn.destination), target.eq(turn.destination)]
                m.next = "ASK"
            with m.State("ASK"), m.If(~full.bit_select(into, 1)):
                m.d.comb += self.ask.eq(1)
                m.d.sync += row.eq(0)
                m.next = "READ"
            with m.State("READ"), m.If(self.valid & (row == feed.rows - 1)):
                m.d.sync += [full.bit_select(into, 1).eq(1), into.eq(~into), source.eq(source + feed.pitch),
                             unread.eq(unread - 1)]
                m.next = "ASK"
                with m.If(unread == 1):
                    m.next = "IDLE"
        return m

    def _straight(self, squares: list[list[list[Signal]]], out: Value, place: Value, rows: Value) -> Value:
        """A row of a square; zeros where there is none."""
        words = [Array([Cat(cells) for cells in square])[place] for square in squares]
        return Mux(place < rows, Mux(out, words[1], words[0]), 0)

    def _turned(self, squares: list[list[list[Signal]]], out: Value, place: Value, rows: Value) -> Value:
        """A column, whose bytes beyond the rows that there are, are zero."""
        size = self.config.size
        words = [Array([Cat(square[index][column] for index in range(size)) for column in range(size)])[place]
                 for square in squares]
        word, bits = Mux(out, words[1], words[0]), self.config.operand_bits
        return Cat(Mux(rows > index, word.word_select(index, bits), 0) for index in range(size))
