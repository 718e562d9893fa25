"""The lookup table FIFO: pages that map each byte to another one, per channel."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.interfaces import sink_signature
from arrayloom.hdl.pipeline import delay
from arrayloom.hdl.post.tokens import choose
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import LOOKUP_TABLE_WORDS


class LookupTables(Component):
    """One memory per lane; its rows have one byte for each group of channels.

    Parameters
    ----------
    config : Config
        ``table_pages`` pages fit.

    Members
    -------
    sink : In(sink_signature(config))
        Filled by LOAD.
    available : Out(range(table_pages + 1))
        Pages not yet used up by an instruction.
    some : Out(1)
        There is such a page.
    take : In(1)
        The instruction's last group enters the lanes: the page at the head is used up.
    enables : In(LATENCY)
        Bit i: stage i has a group.
    use : In(1)
        Look up the bytes at stage 0; otherwise they pass unchanged.
    group : In(range(groups))
        The group at stage 0.
    release : In(1)
        This group at stage 0 is the last that needs the page.
    bytes : In(ArrayLayout(signed(8), lanes))
        At stage 0.
    result : Out(ArrayLayout(signed(8), lanes))
        ``LATENCY`` cycles later.
    occupied : Out(1)
        There are complete or partial pages.
    """

    LATENCY = 2

    def __init__(self, config: Config) -> None:
        self.config = config
        lanes = data.ArrayLayout(signed(8), config.lanes)
        super().__init__({
            "sink": In(sink_signature(config)), "available": Out(range(config.table_pages + 1)),
            "some": Out(1), "take": In(1),
            "enables": In(self.LATENCY), "use": In(1), "group": In(range(config.groups)), "release": In(1),
            "bytes": In(lanes), "result": Out(lanes), "occupied": Out(1),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config = self.config
        page, row = Signal(range(config.table_pages)), Signal(range(LOOKUP_TABLE_WORDS))
        head = Signal(range(config.table_pages))
        with m.If(self.sink.valid):
            m.d.sync += Cat(row, page).eq(Cat(row, page) + 1)
        release = self.enables[0] & self.release
        with m.If(release):
            m.d.sync += head.eq(head + 1)
        use = delay(m, self.use, [self.enables[0]], "use")
        group = delay(m, self.group, [self.enables[0]], "group")
        for lane in range(config.lanes):
            m.submodules[f"lane_{lane}"] = storage = memory.Memory(
                shape=8 * config.groups, depth=LOOKUP_TABLE_WORDS * config.table_pages, init=[])
            write, read = storage.write_port(), storage.read_port(domain="sync")
            value = self.bytes[lane].as_unsigned()
            channels = range(lane, config.size, config.lanes)
            m.d.comb += [
                write.en.eq(self.sink.valid), write.addr.eq(Cat(row, page)),
                write.data.eq(Cat(self.sink.data.word_select(channel, 8) for channel in channels)),
                read.en.eq(self.enables[0] & self.use), read.addr.eq(Cat(value[:7], ~value[7], head)),
            ]
            untouched = delay(m, value, [self.enables[0]], f"untouched_{lane}")
            row_bytes = [read.data.word_select(index, 8) for index in range(config.groups)]
            found = Mux(use, choose(group, row_bytes), untouched)
            m.d.comb += self.result[lane].eq(delay(m, found[:8].as_signed(), [self.enables[1]], f"found_{lane}"))
        self._count(m, self.sink.valid & row.all(), release)
        return m

    def _count(self, m: Module, complete: Value, release: Value) -> None:
        with m.If(complete & ~self.take):
            m.d.sync += [self.available.eq(self.available + 1), self.some.eq(1)]
        with m.Elif(self.take & ~complete):
            m.d.sync += [self.available.eq(self.available - 1), self.some.eq(self.available != 1)]
        room = self.config.table_pages * LOOKUP_TABLE_WORDS
        free = Signal(range(room + 1), init=room)
        with m.If(self.sink.valid | release):
            m.d.sync += free.eq(free + Mux(release, LOOKUP_TABLE_WORDS, 0) - self.sink.valid)
        m.d.comb += [self.sink.free.eq(free), self.occupied.eq(free != room)]
