"""Every FIFO: a word that enters leaves once and in order, and none is lost."""

from collections.abc import Callable

from amaranth.hdl import Mux, Signal, Value
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.axi import READER_BURSTS, WRITE_BURSTS, WRITE_WORDS
from arrayloom.hdl.issue import IN_FLIGHT
from arrayloom.hdl.load import OUTSTANDING
from arrayloom.hdl.post.fetch import Gather
from arrayloom.hdl.store import REQUESTS
from arrayloom.isa.bus import FETCH_BUFFER_BYTES
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

WIDTH = 8       # of a word: the hardware is the same for each of its bits


class Followed(Harness):
    """An arbitrary word is followed from its entry to its exit by the number of words ahead of it."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.depth = depth

    def follow(self, unit: SyncFIFO | SyncFIFOBuffered) -> None:
        m = self.m
        for port, shape in ((unit.w_en, 1), (unit.w_data, WIDTH), (unit.r_en, 1)):
            m.d.comb += port.eq(self.free(f"any_{port.name}", shape))
        enters, leaves = unit.w_en & unit.w_rdy, unit.r_en & unit.r_rdy
        self.following, self.ahead = Signal(name="following"), Signal(range(self.depth + 1), name="ahead")
        self.value = Signal(WIDTH, name="value")
        begins = enters & ~self.following & self.free("begins")
        self.first = self.following & (self.ahead == 0)
        with m.If(begins):
            m.d.sync += [self.following.eq(1), self.ahead.eq(unit.level - leaves), self.value.eq(unit.w_data)]
        with m.Elif(self.following & leaves):
            m.d.sync += [self.following.eq(self.ahead != 0), self.ahead.eq(self.ahead - 1)]
        held = self.count("held", range(2 * self.depth), enters, leaves)
        self.claim("the level counts the words inside", unit.level == held)
        self.claim("it never holds more than its depth", held <= self.depth)
        self.claim("a full one refuses", (held < self.depth) | ~unit.w_rdy)
        self.claim("an empty one offers nothing", (held != 0) | ~unit.r_rdy)
        self.claim("the word is there", ~self.following | (self.ahead < unit.level))
        self.claim("it comes out", ~(self.first & unit.r_rdy) | (unit.r_data == self.value))

    def around(self, place: Value, depth: int) -> Value:
        return Mux(place >= depth, place - depth, place)


class Plain(Followed):
    """``SyncFIFO``."""

    def describe(self) -> None:
        unit = SyncFIFO(width=WIDTH, depth=self.depth)
        inside = self.place(unit)
        self.follow(unit)
        consume = inside["consume"]
        place = self.around(consume + self.ahead, self.depth)
        self.claim("the word lies in its place", ~self.following | (self.word(inside, "storage", place) == self.value))
        _pointers(self, inside, unit.level, self.depth)
        self.claim("a word is offered exactly if there is one", unit.r_rdy == (unit.level != 0))
        self.claim("a word is accepted exactly if there is room", unit.w_rdy == (unit.level != self.depth))


class Buffered(Followed):
    """``SyncFIFOBuffered``: the oldest word is in a register."""

    def describe(self) -> None:
        unit, inner = SyncFIFOBuffered(width=WIDTH, depth=self.depth), self.depth - 1
        inside = self.place(unit)
        self.follow(unit)
        level = inside["inner_level"]
        ahead = Signal(range(self.depth + 1), name="ahead_in_memory")
        self.m.d.comb += ahead.eq(self.ahead - unit.r_rdy)
        there = self.following & ~(self.first & unit.r_rdy)
        place = self.around(inside["consume"] + ahead, inner)
        self.claim("the word lies in its place", ~there | (self.word(inside, "storage", place) == self.value))
        self.claim("the memory holds it", ~there | (ahead < level))
        _pointers(self, inside, level, inner)
        self.claim("a word is accepted exactly if there is room in memory", unit.w_rdy == (level != inner))
        waits = self.past(level != 0)
        self.claim("a word in memory is offered in the next cycle", ~waits | unit.r_rdy)


def _pointers(harness: Followed, inside: Inside, level: Value, depth: int) -> None:
    produce, consume = inside["produce"], inside["consume"]
    harness.claim("pointers stay within", (produce < depth) & (consume < depth))
    harness.claim("pointers are the level apart", produce == harness.around(consume + level, depth))


def _plain(depth: int) -> Callable[[], Harness]:
    return lambda: Plain(depth)


def _buffered(depth: int) -> Callable[[], Harness]:
    return lambda: Buffered(depth)


TINY = PRESETS["tiny"]
PLAIN = {
    "issue queue": ("issue", TINY.queue_depth), "issue masks": ("issue", IN_FLIGHT),
    "lengths of reads": ("bus", READER_BURSTS),
}
BUFFERED = {
    "fetch buffer": ("fetch", FETCH_BUFFER_BYTES // TINY.size), "records of LOAD": ("load", OUTSTANDING),
    "requests of STORE": ("store", REQUESTS), "answers of STORE": ("store", OUTSTANDING),
    "words of writes": ("bus", WRITE_WORDS), "lengths of writes": ("bus", WRITE_BURSTS),
    "gathered words": ("post", Gather.DEPTH),
}
SENTENCE = "A FIFO of {} words returns each accepted word once and in order, loses none, and never overflows."
PLAIN_FAULTS = [
    Fault("it takes a word when full", SyncFIFO.elaborate, "self.level != self.depth)", "self.level != self.depth + 1)"),
    Fault("a read does not advance", SyncFIFO.elaborate, "consume.eq(_incr(consume, self.depth))", "consume.eq(consume)"),
]
BUFFERED_FAULTS = [
    Fault("it takes a word when full", SyncFIFOBuffered.elaborate, "self.w_rdy.eq(inner_level != inner_depth)",
          "self.w_rdy.eq(1)"),
    Fault("a word is given twice", SyncFIFOBuffered.elaborate, "m.d.sync += self.r_rdy.eq(0)",
          "m.d.sync += self.r_rdy.eq(1)"),
    Fault("it reads while its register is full", SyncFIFOBuffered.elaborate, "inner_r_rdy & (~self.r_rdy | self.r_en)",
          "inner_r_rdy"),
]
PROOFS = [
    *(Proof(name, unit, SENTENCE.format(depth), _plain(depth), faults=PLAIN_FAULTS, slow_faults=number > 0)
      for number, (name, (unit, depth)) in enumerate(PLAIN.items())),
    *(Proof(name, unit, SENTENCE.format(depth), _buffered(depth), faults=BUFFERED_FAULTS,
            slow_faults=number > 0)
      for number, (name, (unit, depth)) in enumerate(BUFFERED.items())),
]
