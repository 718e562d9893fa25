"""The FIFO between LOAD and the array's weight loader."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
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
    data : In(word_bits)
        The word, ``WEIGHT_LATENCY`` cycles after ``enable``.
    """
    return Signature({
        "available": In(1),
        "claim": Out(1),
        "enable": Out(1),
        "data": In(config.word_bits),
    })


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
    read : In(weight_read_signature(config))
        Read by the array's weight loader.
    held : Out(range(weight_words + 1))
        Words in the FIFO.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "sink": In(sink_signature(config)),
            "read": In(weight_read_signature(config)),
            "held": Out(range(config.weight_words + 1)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        depth, size = self.config.weight_words, self.config.size
        m.submodules.memory = memory = Memory(shape=self.config.word_bits, depth=depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.sink.valid), write.data.eq(self.sink.data),
            read.en.eq(self.read.enable), self.read.data.eq(read.data),
        ]
        with m.If(self.sink.valid):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(self.read.enable):
            m.d.sync += read.addr.eq(read.addr + 1)

        free = Signal(range(depth + 1), init=depth)
        unclaimed = Signal(range(depth + 1))
        tiles = unclaimed[ceil_log2(size):]
        rest = unclaimed[:ceil_log2(size)]
        with m.If(self.sink.valid | self.read.enable):
            m.d.sync += free.eq(free + self.read.enable - self.sink.valid)
        with m.If(self.sink.valid | self.read.claim):
            m.d.sync += unclaimed.eq(Cat(rest, Mux(self.read.claim, tiles - 1, tiles)) + self.sink.valid)
        m.d.comb += [
            self.read.available.eq(tiles != 0),
            self.sink.free.eq(free),
            self.held.eq(depth - free),
        ]
        return m
