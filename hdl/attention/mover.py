"""Squares of words: fed to the array as weights, or turned in the scratchpad."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import bank_of, instruction_layout, leaves_scratchpad, write_port_signature
from arrayloom.hdl.weight_fifo import feed_signature
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import WORD_ADDRESS, FeedWeights, Turn


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
    ask : Out(1)
        Of the reader: ``first`` and ``count`` words.
    first : Out(WORD_ADDRESS)
    count : Out(16)
    valid : In(1)
    word : In(word_bits)
        The words that the reader gives.
    feed : Out(feed_signature(config))
    write : Out(write_port_signature(config))
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "fields": In(FIELD_BITS), "go": In(1), "done": Out(1), "beyond": Out(1), "ask": Out(1),
            "first": Out(WORD_ADDRESS), "count": Out(16), "valid": In(1), "word": In(config.word_bits),
            "feed": Out(feed_signature(config)), "write": Out(write_port_signature(config)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, operand = self.config.size, signed(self.config.operand_bits)
        feed, turn = (data.View(instruction_layout(cls), self.fields) for cls in (FeedWeights, Turn))
        feeds = feed.opcode == FeedWeights.OPCODE
        square = [[Signal(operand, name=f"square_{row:03}_{column:03}", reset_less=True) for column in range(size)]
                  for row in range(size)]
        source, target = Signal(WORD_ADDRESS, reset_less=True), Signal(WORD_ADDRESS + 1, reset_less=True)
        base = Signal(WORD_ADDRESS + 1, reset_less=True)
        tiles, row, place = Signal.like(feed.tiles, reset_less=True), Signal(8, reset_less=True), Signal(8, reset_less=True)
        zero = Mux(feeds, feed.zero, 0).as_signed()
        m.d.comb += [self.first.eq(source), self.count.eq(feed.rows)]
        with m.If(self.valid):
            m.d.sync += row.eq(row + 1)
            for index in range(size):
                with m.If(row == index):
                    m.d.sync += [square[index][column].eq(self.word.word_select(column, 8).as_signed() - zero)
                                 for column in range(size)]
        straight = Array([Cat(square[index]) for index in range(size)])[place]
        turned = Array([Cat(square[index][column] for index in range(size)) for column in range(size)])[place]
        chosen = Signal(self.config.weight_bits)
        m.d.comb += chosen.eq(Mux(feeds & ~feed.turned, straight, turned))
        bits = self.config.operand_bits
        m.d.comb += [
            self.feed.data.eq(chosen), self.write.address.eq(target), self.write.bank.eq(bank_of(target, self.config)),
            self.write.data.eq(Cat(chosen.word_select(column, bits)[:8] for column in range(size))),
            self.beyond.eq(self.write.valid & leaves_scratchpad(target, self.config)),
        ]
        with m.FSM(name="mover"):
            with m.State("IDLE"), m.If(self.go):
                m.d.sync += [source.eq(feed.source), tiles.eq(feed.tiles), base.eq(turn.destination)]
                m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.ask.eq(1)
                m.d.sync += [row.eq(0), place.eq(0), target.eq(base)]
                m.d.sync += [cell.eq(0) for cells in square for cell in cells]
                m.next = "READ"
            with m.State("READ"), m.If(row == feed.rows):
                m.next = "GIVE"
            with m.State("GIVE"):
                moves = Signal()
                m.d.comb += [
                    self.feed.valid.eq(feeds & self.feed.free.any()), self.write.valid.eq(~feeds),
                    moves.eq(Mux(feeds, self.feed.valid, self.write.ready)),
                ]
                with m.If(moves):
                    m.d.sync += [place.eq(place + 1), target.eq(target + 1)]
                    with m.If(place == size - 1):
                        m.d.sync += [tiles.eq(tiles - 1), source.eq(source + feed.pitch),
                                     base.eq(base + turn.destination_pitch)]
                        m.next = "NEXT"
            with m.State("NEXT"):
                m.next = "ASK"
                with m.If(tiles == 0):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
        return m
