"""The weight FIFO: words in order, complete tiles, and exact counts."""

from dataclasses import replace

from amaranth.hdl import Signal
from proving import Fault, Harness, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.weight_fifo import WeightFifo
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG = replace(PRESETS["tiny"], name="small", weight_words=16)


class Words(Harness):
    """An arbitrary word is followed. LOAD sends only words that fit; a tile is claimed when available, and then read."""

    def describe(self) -> None:
        m, unit, depth, size = self.m, WeightFifo(CONFIG), CONFIG.weight_words, CONFIG.size
        inside = self.place(unit)
        self.drive(unit)
        enters, leaves, claims = unit.sink.valid, unit.read.enable, unit.read.claim
        held = self.count("held_words", 8, enters, leaves)
        free = self.count("unclaimed_words", 8, enters, claims * size)
        owed = self.count("claimed_words", 8, claims * size, leaves)
        self.assume("LOAD sends what fits", ~enters | (held < depth))
        self.assume("a tile is claimed where there is one", ~claims | unit.read.available)
        self.assume("words of claimed tiles are read", ~leaves | claims | (owed != 0))
        following, ahead, value = Signal(name="following"), Signal(8, name="ahead"), Signal(CONFIG.word_bits, name="value")
        comes = following & (ahead == 0) & leaves
        with m.If(enters & ~following & self.free("begins")):
            m.d.sync += [following.eq(1), ahead.eq(held - leaves), value.eq(unit.sink.data)]
        with m.Elif(following & leaves):
            m.d.sync += [following.eq(ahead != 0), ahead.eq(ahead - 1)]
        self.claim("words come in order", ~self.past(comes) | (unit.read.data == self.past(value)))
        self.claim("held words are counted", unit.held == held)
        self.claim("the room is counted", unit.sink.free == depth - held)
        self.claim("a tile is available exactly if all its words are", unit.read.available == (free >= size))
        self.claim("only present words are read", ~leaves | (held != 0))
        self.claim("held words are claimed or unclaimed", held == (free + owed)[:8])
        self.claim("it fits", (held <= depth) & (free <= depth) & (owed <= depth))
        memory = inside.memory("memory")
        read, write = memory._read_ports[0]._addr, memory._write_ports[0]._addr
        self.claim("pointers are as far apart as words are held", (write - read)[:len(read)] == held[:len(read)])
        self.claim("the word is there", ~following | (ahead < held))
        self.claim("it lies in its place", ~following | (self.word(inside, "memory", (read + ahead)[:len(read)]) == value))
        self.claim("unclaimed words are counted", inside["unclaimed"] == free)
        self.cover("a whole tile is read", self.past(leaves) & (held == 0) & ~enters)


PROOFS = [
    Proof("words of weights", "weight_fifo",
          "The weight FIFO gives each word once and in order, offers a tile exactly when all of it is there, and shows "
          "exactly how many words fit.", Words, cover_depth=12, cover_solver="z3", slow_faults=True,
          faults=[
              Fault("a tile is offered too early", WeightFifo.elaborate, "tiles != 0", "unclaimed[1:] != 0"),
              Fault("a word that comes with a claim is lost", WeightFifo.elaborate, "tiles)) + self.sink.valid", "tiles))"),
              Fault("too much room is reported", WeightFifo.elaborate, "free + self.read.enable - self.sink.valid",
                    "free + self.read.enable")]),
]
