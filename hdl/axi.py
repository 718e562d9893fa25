"""The memory bus: fetch and load share the read channels, store has the write channels."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.hdl.interfaces import axi_signature
from arrayloom.isa.bus import ADDRESS_BITS
from arrayloom.isa.config import Config

FETCH_ID, LOAD_ID = 0, 1
INCREMENTING = 1    # AxBURST
OUTSTANDING = 8     # bits of the counters of outstanding bursts


def request_layout() -> data.StructLayout:
    """A burst: byte ``address`` of its first word, and its number of ``beats`` minus one."""
    return data.StructLayout({"address": ADDRESS_BITS, "beats": 8})


def read_signature(config: Config, always_ready: bool = False) -> Signature:
    """Reads, seen from the reader.

    Parameters
    ----------
    config : Config
    always_ready : bool
        The reader takes every word: it asks for no more than it has room for.

    Members
    -------
    request : Out(stream.Signature(request_layout()))
        Bursts.
    beat : In(stream.Signature(data, error, last))
        Their words, in order.
    """
    beat = data.StructLayout({"data": config.word_bits, "error": 1, "last": 1})
    return Signature({
        "request": Out(stream.Signature(request_layout())),
        "beat": In(stream.Signature(beat, always_ready=always_ready)),
    })


def write_signature(config: Config) -> Signature:
    """Writes, seen from the writer.

    Members
    -------
    request : Out(stream.Signature(request_layout()))
        Bursts. Every burst that is taken must get its words even when no further request is taken.
    beat : Out(stream.Signature(data, last))
        Their words, in order.
    answered : In(1)
        A pulse for each burst that memory has taken, in order.
    error : In(1)
        With ``answered``: memory refused the burst.
    """
    return Signature({
        "request": Out(stream.Signature(request_layout())),
        "beat": Out(stream.Signature(data.StructLayout({"data": config.word_bits, "last": 1}))),
        "answered": In(1),
        "error": In(1),
    })


def bus_status_signature() -> Signature:
    """The bus towards the control unit, seen from the bus.

    Members
    -------
    halt : In(1)
        Begin no further burst; those that are begun are completed.
    reads : Out(OUTSTANDING)
        Bursts of reads under way.
    writes : Out(OUTSTANDING)
        Bursts of writes under way.
    quiet : Out(1)
        No burst is under way, nor was one cycle ago.
    read : Out(1)
        A word is read in this cycle.
    written : Out(1)
        A word is written in this cycle.
    """
    return Signature({"halt": In(1), "reads": Out(OUTSTANDING), "writes": Out(OUTSTANDING), "quiet": Out(1),
                      "read": Out(1), "written": Out(1)})


class Bus(Component):
    """The AXI4 master: a stream of bursts each for ``fetch`` and ``load``, fetch first, and one for ``store``.

    Takes a burst every other cycle. Each reader has one identifier, so its words come in the order of its requests.

    Parameters
    ----------
    config : Config
        ``word_bits`` is the width of the bus.

    Members
    -------
    axi : Out(axi_signature(config))
        Memory.
    fetch : In(read_signature(config, always_ready=True))
    load : In(read_signature(config))
    store : In(write_signature(config))
    status : Out(bus_status_signature())
        For the control unit.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "axi": Out(axi_signature(config)),
            "fetch": In(read_signature(config, always_ready=True)),
            "load": In(read_signature(config)),
            "store": In(write_signature(config)),
            "status": Out(bus_status_signature()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.axi
        for channel in ("ar", "aw"):
            m.d.comb += [getattr(axi, channel + "size").eq(exact_log2(self.config.size)),
                         getattr(axi, channel + "burst").eq(INCREMENTING)]
        self._read_addresses(m)
        self._read_data(m)
        self._write(m)
        self._watch(m)
        return m

    def _read_addresses(self, m: Module) -> None:
        axi, free = self.axi, Signal()
        m.d.comb += [
            free.eq(~axi.arvalid & ~self.status.halt),
            self.fetch.request.ready.eq(free),
            self.load.request.ready.eq(free & ~self.fetch.request.valid),
        ]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        for reader, identifier in ((self.load, LOAD_ID), (self.fetch, FETCH_ID)):
            with m.If(reader.request.valid & reader.request.ready):
                m.d.sync += [
                    axi.arvalid.eq(1), axi.arid.eq(identifier),
                    axi.araddr.eq(reader.request.payload.address), axi.arlen.eq(reader.request.payload.beats),
                ]

    def _read_data(self, m: Module) -> None:
        axi = self.axi
        moves = axi.rvalid & axi.rready
        m.d.comb += [
            axi.rready.eq(self.load.beat.ready),
            self.fetch.beat.valid.eq(moves & (axi.rid == FETCH_ID)),
            self.load.beat.valid.eq(axi.rvalid & (axi.rid == LOAD_ID)),
            self.status.read.eq(moves),
        ]
        for reader in (self.fetch, self.load):
            m.d.comb += [
                reader.beat.payload.data.eq(axi.rdata),
                reader.beat.payload.error.eq(axi.rresp[1]),
                reader.beat.payload.last.eq(axi.rlast),
            ]

    def _write(self, m: Module) -> None:
        axi, store = self.axi, self.store
        m.d.comb += [
            store.request.ready.eq(~axi.awvalid & ~self.status.halt),
            axi.wvalid.eq(store.beat.valid),
            axi.wdata.eq(store.beat.payload.data),
            axi.wlast.eq(store.beat.payload.last),
            axi.wstrb.eq(~0),
            store.beat.ready.eq(axi.wready),
            axi.bready.eq(1),
            store.answered.eq(axi.bvalid),
            store.error.eq(axi.bresp[1]),
            self.status.written.eq(axi.wvalid & axi.wready),
        ]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(store.request.valid & store.request.ready):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(store.request.payload.address),
                         axi.awlen.eq(store.request.payload.beats)]

    def _watch(self, m: Module) -> None:
        axi = self.axi
        fetch, load, store = (port.request.valid & port.request.ready for port in (self.fetch, self.load, self.store))
        status = self.status
        self._outstanding(m, status.reads, fetch | load, axi.rvalid & axi.rready & axi.rlast)
        self._outstanding(m, status.writes, store, axi.bvalid)
        none = Signal(init=1)
        m.d.sync += none.eq((status.reads == 0) & (status.writes == 0))
        # The register misses a burst that was begun in the cycle before; its address is still there.
        m.d.comb += status.quiet.eq(none & ~axi.arvalid & ~axi.awvalid)

    def _outstanding(self, m: Module, count: Signal, begun: Value, ended: Value) -> None:
        with m.If(begun & ~ended):
            m.d.sync += count.eq(count + 1)
        with m.Elif(ended & ~begun):
            m.d.sync += count.eq(count - 1)
