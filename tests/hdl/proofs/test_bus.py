"""The memory bus: the rules of AXI4, exact counts, and completion of outstanding bursts after a core reset."""

from amaranth.hdl import Cat
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.axi import READER_BURSTS, SETTLE_CYCLES, WRITE_BURSTS, WRITE_WORDS, Bus
from arrayloom.hdl.store import OUTSTANDING as STORE_BURSTS
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class Rules(Harness):
    """Any readers, any writer, ``core_reset`` at any time, and any memory that answers no write before its data.

    Readers and writer are assumed to keep their guarantees: they request only bursts and words that fit, and after a reset
    send none beyond those in flight.
    """

    def describe(self) -> None:
        self.unit = unit = Bus(PRESETS["tiny"])
        self.inside = inside = self.place(unit)
        self.drive(unit)
        axi = unit.axi
        self.stays("read address", axi.arvalid, axi.arready, axi.araddr, axi.arlen, axi.arid)
        self.stays("write address", axi.awvalid, axi.awready, axi.awaddr, axi.awlen)
        self._surroundings()
        self.stays("word", axi.wvalid, axi.wready, axi.wdata, axi.wstrb, axi.wlast)
        self._counts(inside)
        self._reset(inside)
        halted = self.past(unit.status.halt)
        self.claim("a halted bus begins no burst", ~halted | (
            (~axi.arvalid | self.past(axi.arvalid)) & (~axi.awvalid | self.past(axi.awvalid))))
        self.cover("a word of a write is sent", axi.wvalid & axi.wready & axi.wlast & (axi.wstrb != 0))
        self.cover("it is quiet after a reset", self.past(unit.draining) & unit.status.quiet & ~unit.draining)
        self.cover("a word without bytes is sent", axi.wvalid & axi.wready & (axi.wstrb == 0))

    def _surroundings(self) -> None:
        unit = self.unit
        words = self.inside.part("words")
        self.held = self.count("held_words", range(2 * WRITE_WORDS), unit.store.word.valid,
                               unit.axi.wvalid & unit.axi.wready & (unit.axi.wstrb != 0))
        self.assume("STORE sends only words that fit", ~unit.store.word.valid | (self.held < WRITE_WORDS))
        self.assume("STORE sends no word long after a reset", ~unit.store.word.valid | ~unit.settled[-2])
        self.assume("words are dropped only while the bus is quiet", ~unit.clear)
        self.claim("held words are in the FIFO", words["inner_level"] + words["r_rdy"] == self.held)
        self.claim("no word is refused", ~unit.store.word.valid | words["w_rdy"])
        self.claim("words fit", self.held <= WRITE_WORDS)

    def _counts(self, inside: Inside) -> None:
        unit, status = self.unit, self.unit.status
        axi = unit.axi
        lengths = [inside.part(f"{reader}_lengths") for reader in ("fetch", "load")]
        waits = [each["level"] for each in lengths]
        for name, reader, level in zip(("FETCH", "LOAD"), (unit.fetch, unit.load), waits, strict=True):
            self.assume(f"{name} asks for no more bursts than it may", ~reader.request.valid | (level < READER_BURSTS))
        self.claim("reads counts the outstanding read bursts", status.reads == waits[0] + waits[1])
        self.claim("their FIFOs hold no more than fits", (waits[0] <= READER_BURSTS) & (waits[1] <= READER_BURSTS))
        begun = unit.store.request.valid & unit.store.request.ready
        writes = self.count("writes", 8, begun, unit.store.answered)
        self.claim("writes counts the unanswered write bursts", status.writes == writes)
        lacking = inside.part("lengths")
        lack = lacking["inner_level"] + lacking["r_rdy"]
        answered = unit.store.answered
        self.assume("memory answers a write only after its words", ~answered | (writes > lack))
        self.claim("bursts that lack words fit", lack <= WRITE_BURSTS)
        self.claim("they are not answered", lack <= writes)
        self.claim("writes are few", writes <= STORE_BURSTS)
        self.assume("STORE has few outstanding bursts", ~unit.store.request.valid | (writes < STORE_BURSTS))
        none = self.past((status.reads == 0) & (status.writes == 0))
        self.claim("a quiet bus was quiet", ~self.started | (inside["none"] == none))
        idle = (status.reads == 0) & (status.writes == 0) & ~axi.arvalid & ~axi.awvalid
        self.claim("nothing is outstanding while the bus is quiet", ~status.quiet | idle)

    def _reset(self, inside: Inside) -> None:
        """``draining`` is active from a reset until the bus is quiet."""
        unit, axi = self.unit, self.unit.axi
        draining = unit.draining
        self.claim("a reset is remembered", ~self.past(unit.abandoned) | draining)
        self.claim("words of reads are taken", ~draining | axi.rready)
        self.claim("dropped words reach no reader", ~draining | (~unit.fetch.beat.valid & ~unit.load.beat.valid))
        lacking = inside.part("lengths")
        drained = self.ages(draining, SETTLE_CYCLES, "drained")
        for cycles in range(SETTLE_CYCLES):
            self.claim(f"{cycles} cycles of it are known", unit.settled[cycles] == Cat(drained[1:cycles + 2]).all())
        self.claim("a burst that lacks words gets some then", ~Cat(drained[1:]).all() | ~lacking["r_rdy"] | axi.wvalid)
        self.claim("bytes are written unchanged", axi.wstrb == inside.part("words")["r_rdy"].replicate(len(axi.wstrb)))


def _mends() -> list[Fault]:
    return [
        Fault("an address is withdrawn", Bus._read_addresses, "m.If(axi.arvalid & axi.arready)", "m.If(axi.arvalid)"),
        Fault("an address changes while it waits", Bus._read_addresses, "~axi.arvalid & ~self.status.halt",
              "~self.status.halt"),
        Fault("a halted bus begins a write", Bus._write, "~axi.awvalid & ~self.status.halt &", "~axi.awvalid &"),
        Fault("quiet is reported too early", Bus._watch, "none & ~axi.arvalid & ~axi.awvalid", "none"),
        Fault("words of reads wait after a reset", Bus._read_data, "self.load.beat.ready | self.draining",
              "self.load.beat.ready"),
        Fault("a burst without words is never ended", Bus._write, "words.r_rdy | self.settled[-1]", "words.r_rdy"),
        Fault("FETCH gets words after its reset", Bus._read_data, "self.moves & asked[0] & ~self.draining",
              "self.moves & asked[0]"),
        Fault("words come while a word without bytes waits", Bus.elaborate, "Cat(1, self.settled)", "Cat(1, 1, 1, 1)"),
    ]


PROOFS = [
    Proof("rules of AXI4", "bus",
          "Addresses and words stay until they are taken, counts of bursts are exact, quiet means that nothing is under "
          "way, and after core_reset at any time every burst is completed.",
          Rules, depth=2, cover_depth=14, solver="z3", cover_solver="z3", faults=_mends(), slow_faults=True),
]
