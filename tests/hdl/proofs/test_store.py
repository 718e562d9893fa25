"""STORE between bursts and the bus: the words it reads, and its guarantees to the bus."""

from functools import reduce
from operator import add

from amaranth.hdl import Value
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.axi import WRITE_WORDS
from arrayloom.hdl.interfaces import bank_of
from arrayloom.hdl.store import REQUESTS, Store
from arrayloom.isa.bus import BURST_WORDS
from arrayloom.isa.config import PRESETS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG = PRESETS["tiny"]


class Words(Harness):
    """Bursts are as proved in ``test_bursts.py``, through ``Elastic``; the bus sends the data that it was given."""

    def describe(self) -> None:
        unit = self.unit = Store(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        burst = unit.next_burst.leave
        lawful = (burst.payload.words != 0) & (burst.payload.words <= BURST_WORDS) & (
            burst.payload.chip + burst.payload.words <= CONFIG.activation_words)
        self.assume("bursts are lawful", ~burst.valid | lawful)
        self._read(inside)
        self._promise(inside)
        self.cover("a second word is read", unit.reading & (inside["left"] == 1) & (unit.burst.words == 2))

    def _read(self, inside: Inside) -> None:
        unit, chip, left = self.unit, inside["chip"], inside["left"]
        place, reading = unit.places.enter, unit.reading
        self.claim("a burst that is read lies in the scratchpad", ~reading | (
            unit.burst.chip + unit.burst.words <= CONFIG.activation_words))
        self.claim("its words are read one after the other", ~reading | (chip + left == unit.burst.chip + unit.burst.words))
        self.claim("none before its first", ~reading | ((left != 0) & (left <= unit.burst.words)))
        self.claim("the last is known", ~reading | (inside["final"] == (left == 1)))
        self.claim("each lies in the burst", ~place.valid | ((place.payload.address >= unit.burst.chip) & (
            place.payload.address < unit.burst.chip + unit.burst.words)))
        self.claim("the bank is that of the address", place.payload.bank == bank_of(place.payload.address, CONFIG))

    def _promise(self, inside: Inside) -> None:
        unit, places = self.unit, inside.part("places")
        bus = unit.bus
        asked = self.count("asked_words", range(2 * WRITE_WORDS), inside["accepted"], bus.sent)
        given = self.count("given_words", range(2 * WRITE_WORDS), bus.word.valid, bus.sent)
        self.assume("the bus sends the words in order", ~bus.sent | (given != 0))
        on_the_way: Value = reduce(add, [*inside["arriving"], places["filled"], unit.places.leave.valid])
        self.claim("words in flight are counted", asked == given + on_the_way)
        self.claim("words at the bus and in flight fit", asked <= WRITE_WORDS)
        self.claim("the place of a word waits after one", ~places["filled"] | unit.places.leave.valid)
        counts = inside.all("$signal")
        used = [signal for signal in counts if len(signal) in (WRITE_WORDS.bit_length(), REQUESTS.bit_length())]
        requests = inside.part("requests")
        waiting = requests["inner_level"] + requests["r_rdy"]
        last = inside["last"]
        self.claim("no request is lost", ~last | requests["w_rdy"])
        self.claim("requests fit", waiting <= REQUESTS)
        self.claim("a request comes to the front", requests["r_rdy"] | (requests["inner_level"] <= 1))
        rooms = inside.all("room")
        self.claim("room for words is known", (used[0] == asked) & (rooms[0] == (asked < WRITE_WORDS)))
        self.claim("room for requests is known", (used[1] == waiting) & (rooms[1] == (waiting < REQUESTS)))
        self.stays("request", bus.request.valid, bus.request.ready, bus.request.payload)


PROOFS = [
    Proof("words of STORE", "store",
          "STORE reads exactly the words of its bursts, has no more words with the bus than fit there, loses no request and "
          "keeps each until it is taken.", Words, cover_depth=12, cover_solver="z3", slow_faults=True, faults=[
              Fault("words are read without room", Store._read, "self.reading & room)", "self.reading)"),
              Fault("a burst ends a word early", Store._read, "final.eq(left == 2)", "final.eq(left == 3)"),
              Fault("a word is left out", Store._read, "chip.eq(chip + 1)", "chip.eq(chip + 2)")]),
]
