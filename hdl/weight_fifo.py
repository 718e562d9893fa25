"""The FIFO between LOAD and the array's weight loader."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import ceil_log2

from arrayloom.hdl.interfaces import sink_signature
from arrayloom.isa.config import Config

WEIGHT_LATENCY = 1      # cycles from a read of the FIFO to its word


def weight_read_signature(config: Config) -> Signature:
    """The reading end of the weight FIFO, seen from the reader.

    Members
    -------
    available : In(1)
        A whole tile of ``size`` words is available and not claimed.
    claim : Out(1)
        A pulse takes that tile.
    enable : Out(1)
        Read the next word: in ``size`` cycles for each tile, from the cycle of the claim on.
    data : In(operand_bits * size)
        The word, ``WEIGHT_LATENCY`` cycles after ``enable``.
    """
    return Signature({
        "available": In(1),
        "claim": Out(1),
        "enable": Out(1),
        "data": In(config.operand_bits * config.size),
    })


def feed_signature(config: Config) -> Signature:
    """The weight FIFO, seen from the ATTENTION unit.

    Members
    -------
    valid : Out(1)
        A word goes into the FIFO.
    data : Out(operand_bits * size)
    free : In(range(weight_words + 1))
        Words that it has room for.
    """
    width = config.operand_bits * config.size
    return Signature({"valid": Out(1), "data": Out(width), "free": In(range(config.weight_words + 1))})


def _extended(byte: Value, bits: int) -> Value:
    """A signed byte in more bits."""
    return Cat(byte, byte[-1].replicate(bits - len(byte)))


class WeightFifo(Component):
    """A FIFO in block RAM, filled by words and claimed by tiles.

    Parameters
    ----------
    config : Config
        ``weight_words`` is its depth, ``size`` the words in a tile.

    Members
    -------
    sink : In(sink_signature(config))
        Filled by LOAD.
    feed : In(feed_signature(config))
        Filled by the ATTENTION unit, where there is one; not while LOAD fills it, which ``FillOrder`` ensures.
    read : In(weight_read_signature(config))
        Read by the array's weight loader.
    held : Out(range(weight_words + 1))
        Words in the FIFO.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "sink": In(sink_signature(config)),
            **({"feed": In(feed_signature(config))} if config.attention_lanes else {}),
            "read": In(weight_read_signature(config)),
            "held": Out(range(config.weight_words + 1)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        depth, size = self.config.weight_words, self.config.size
        m.submodules.memory = memory = Memory(shape=self.config.operand_bits * self.config.size, depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        pushed, word = self.sink.valid, self.sink.data
        if self.config.attention_lanes:
            pushed = self.sink.valid | self.feed.valid
            bits = self.config.operand_bits
            wide = Cat(_extended(self.sink.data.word_select(place, 8), bits) for place in range(size))
            word = Mux(self.feed.valid, self.feed.data, wide)
        m.d.comb += [
            write.en.eq(pushed), write.data.eq(word),
            read.en.eq(self.read.enable), self.read.data.eq(read.data),
        ]
        with m.If(pushed):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(self.read.enable):
            m.d.sync += read.addr.eq(read.addr + 1)

        free = Signal(range(depth + 1), init=depth)
        unclaimed = Signal(range(depth + 1))
        tiles = unclaimed[ceil_log2(size):]
        rest = unclaimed[:ceil_log2(size)]
        with m.If(pushed | self.read.enable):
            m.d.sync += free.eq(free + self.read.enable - pushed)
        with m.If(pushed | self.read.claim):
            m.d.sync += unclaimed.eq(Cat(rest, Mux(self.read.claim, tiles - 1, tiles)) + pushed)
        m.d.comb += [
            self.read.available.eq(tiles != 0),
            self.sink.free.eq(free),
            self.held.eq(depth - free),
        ]
        if self.config.attention_lanes:
            m.d.comb += self.feed.free.eq(free)
        return m
