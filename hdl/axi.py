"""The memory bus: FETCH and LOAD share the read channels; STORE uses the write channels."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out, Signature
from amaranth.utils import exact_log2

from arrayloom.hdl.interfaces import axi_signature
from arrayloom.isa.bus import ADDRESS_BITS, BURST_WORDS
from arrayloom.isa.config import Config

FETCH_ID, LOAD_ID = 0, 1
INCREMENTING = 1    # AxBURST
BUFFERABLE = 0b0011     # AxCACHE: normal memory, not cached by the interconnect
UNPRIVILEGED = 0b000    # AxPROT: data, secure
WRITE_ID = 0
OUTSTANDING = 8     # bits of the counters of outstanding bursts
WRITE_WORDS = 4 * BURST_WORDS   # that wait for the bus
WRITE_BURSTS = 4        # bursts whose words are not all sent
SETTLE_CYCLES = 4       # until a word from STORE is visible at the FIFO's output
READER_BURSTS = 32  # outstanding bursts of one reader; LOAD has at most 16, FETCH requests no more than fits into its buffer


def request_layout() -> data.StructLayout:
    """A burst: byte ``address`` of its first word, and its number of ``beats`` minus one."""
    return data.StructLayout({"address": ADDRESS_BITS, "beats": 8})


def read_signature(config: Config, always_ready: bool = False) -> Signature:
    """Reads, seen from the reader.

    Parameters
    ----------
    config : Config
    always_ready : bool
        The reader accepts every word: it requests no more than it has room for.

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
        Bursts; each is requested only once its last word is being read and will soon be in ``word``.
    word : Out(stream.Signature(word_bits, always_ready=True))
        Their words, in order, buffered on the bus side.
    sent : In(1)
        A word goes to memory; at most ``WRITE_WORDS`` are buffered.
    answered : In(1)
        A pulse for each burst that memory has completed, in order.
    error : In(1)
        With ``answered``: memory refused the burst.
    """
    return Signature({
        "request": Out(stream.Signature(request_layout())),
        "word": Out(stream.Signature(config.word_bits, always_ready=True)),
        "sent": In(1),
        "answered": In(1),
        "error": In(1),
    })


def bus_status_signature() -> Signature:
    """The bus towards the control unit, seen from the bus.

    Members
    -------
    halt : In(1)
        Begin no further burst; bursts in progress are completed.
    reads : Out(OUTSTANDING)
        Outstanding read bursts.
    writes : Out(OUTSTANDING)
        Outstanding write bursts.
    quiet : Out(1)
        No burst is outstanding, nor was any in the previous cycle.
    read : Out(1)
        A word is read in this cycle.
    written : Out(1)
        A word is written in this cycle.
    broken : Out(1)
        One cycle ago, memory sent an unrequested answer or ended a read burst at the wrong word.
    """
    return Signature({"halt": In(1), "reads": Out(OUTSTANDING), "writes": Out(OUTSTANDING), "quiet": Out(1),
                      "read": Out(1), "written": Out(1), "broken": Out(1)})


class Bus(Component):
    """The AXI4 master: one stream of bursts each for ``fetch``, which has priority, ``load`` and ``store``.

    Accepts a burst every other cycle. Each reader has one identifier, so its words come in the order of its
    requests. A read burst ends with the last requested word, regardless of RLAST; unrequested words and responses
    are dropped.

    It follows the protocol even if readers and writer are reset during a burst: requested words are
    accepted and dropped, and missing write data is replaced by words without byte strobes.

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
    clear : In(1)
        The writer is reset while the bus is quiet: its buffered words are dropped.
    abandoned : In(1)
        Readers and writer are reset, even with outstanding bursts; they request nothing until the bus is quiet.
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
            "clear": In(1),
            "abandoned": In(1),
            "status": Out(bus_status_signature()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.axi
        for channel in ("ar", "aw"):
            m.d.comb += [getattr(axi, channel + "size").eq(exact_log2(self.config.size)),
                         getattr(axi, channel + "burst").eq(INCREMENTING),
                         getattr(axi, channel + "cache").eq(BUFFERABLE),
                         getattr(axi, channel + "prot").eq(UNPRIVILEGED)]
        m.d.comb += axi.awid.eq(WRITE_ID)
        # after a reset of readers and writer; ``settled`` once STORE's last word in transit is visible
        self.draining, self.settled = Signal(), Signal(SETTLE_CYCLES)
        m.d.sync += self.settled.eq(Mux(self.draining, Cat(1, self.settled), 0))
        with m.If(self.abandoned):
            m.d.sync += self.draining.eq(1)
        with m.Elif(self.status.quiet):
            m.d.sync += self.draining.eq(0)
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
        self.moves = axi.rvalid & axi.rready
        self.ends: list[Value] = []     # for each reader, whether a burst of its ends
        self.strays: list[Value] = []   # unrequested words, and bursts that end at the wrong word
        asked = [self._expected(m, "fetch", self.fetch, FETCH_ID), self._expected(m, "load", self.load, LOAD_ID)]
        m.d.comb += [
            axi.rready.eq(self.load.beat.ready | self.draining),
            self.fetch.beat.valid.eq(self.moves & asked[0] & ~self.draining),
            self.load.beat.valid.eq(axi.rvalid & asked[1] & ~self.draining),
            self.status.read.eq(self.moves),
        ]
        self.strays.append(self.moves & ~(asked[0] | asked[1]))

    def _expected(self, m: Module, name: str, reader: Any, identifier: int) -> Value:
        """Whether the word on the bus belongs to a burst of this reader; counts the words of its bursts."""
        axi, beat = self.axi, reader.beat.payload
        # memory answers two cycles after a request at the earliest, when this FIFO provides the length from registers
        m.submodules[f"{name}_lengths"] = lengths = SyncFIFOBuffered(width=8, depth=READER_BURSTS)
        count, asked, last = Signal(8, name=f"{name}_count"), Signal(), Signal()
        m.d.comb += [
            lengths.w_en.eq(reader.request.valid & reader.request.ready), lengths.w_data.eq(reader.request.payload.beats),
            asked.eq((axi.rid == identifier) & lengths.r_rdy), last.eq(count == lengths.r_data),
            lengths.r_en.eq(self.moves & asked & last),
            beat.data.eq(axi.rdata), beat.error.eq(axi.rresp[1]), beat.last.eq(last),
        ]
        with m.If(self.moves & asked):
            m.d.sync += count.eq(Mux(last, 0, count + 1))
        self.ends.append(lengths.r_en)
        self.strays.append(self.moves & asked & (axi.rlast != last))
        return asked

    def _write(self, m: Module) -> None:
        axi, store = self.axi, self.store
        words = SyncFIFOBuffered(width=self.config.word_bits, depth=WRITE_WORDS)
        m.submodules.words = ResetInserter(self.clear)(words)
        m.submodules.lengths = lengths = SyncFIFOBuffered(width=8, depth=WRITE_BURSTS)      # bursts with missing words
        beat, sends, last = Signal(8), Signal(), Signal()
        m.d.comb += [
            store.request.ready.eq(~axi.awvalid & ~self.status.halt & lengths.w_rdy),
            lengths.w_en.eq(store.request.valid & store.request.ready), lengths.w_data.eq(store.request.payload.beats),
            words.w_en.eq(store.word.valid), words.w_data.eq(store.word.payload),
            axi.wvalid.eq(lengths.r_rdy & (words.r_rdy | self.settled[-1])), axi.wdata.eq(words.r_data),
            axi.wstrb.eq(words.r_rdy.replicate(self.config.size)), last.eq(beat == lengths.r_data), axi.wlast.eq(last),
            sends.eq(axi.wvalid & axi.wready), words.r_en.eq(sends), lengths.r_en.eq(sends & last), store.sent.eq(sends),
            axi.bready.eq(1),
            store.answered.eq(axi.bvalid & (axi.bid == WRITE_ID) & (self.status.writes != 0)),
            store.error.eq(axi.bresp[1]),
            self.status.written.eq(sends),
        ]
        with m.If(sends):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(store.request.valid & store.request.ready):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(store.request.payload.address),
                         axi.awlen.eq(store.request.payload.beats)]

    def _watch(self, m: Module) -> None:
        axi = self.axi
        fetch, load, store = (port.request.valid & port.request.ready for port in (self.fetch, self.load, self.store))
        status = self.status
        self._outstanding(m, status.reads, fetch | load, Cat(self.ends).any())
        self._outstanding(m, status.writes, store, self.store.answered)
        m.d.sync += status.broken.eq(Cat(self.strays, axi.bvalid & ~self.store.answered).any())
        none = Signal(init=1)
        m.d.sync += none.eq((status.reads == 0) & (status.writes == 0))
        # the register does not include a burst begun in the previous cycle, whose address is still pending
        m.d.comb += status.quiet.eq(none & ~axi.arvalid & ~axi.awvalid)

    def _outstanding(self, m: Module, count: Signal, begun: Value, ended: Value) -> None:
        with m.If(begun & ~ended):
            m.d.sync += count.eq(count + 1)
        with m.Elif(ended & ~begun):
            m.d.sync += count.eq(count - 1)
