"""The two-word buffer, and the counts of room and stock."""

from amaranth.hdl import Module
from proving import Fault, Harness, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.flow_control import Elastic, room_for, stock_of

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]


class Order(Harness):
    """Words are numbered as they enter, and leave in the order of their numbers."""

    def describe(self) -> None:
        m, unit = self.m, Elastic(4)
        inside = self.place(unit)
        enters, leaves = unit.enter.valid & unit.enter.ready, unit.leave.valid & unit.leave.ready
        entered = self.count("entered", 4, enters)
        left = self.count("left", 4, leaves)
        m.d.comb += [unit.enter.valid.eq(self.free("offers")), unit.enter.payload.eq(entered),
                     unit.leave.ready.eq(self.free("takes"))]
        within = (entered - left)[:4]
        self.claim("words leave in order", ~unit.leave.valid | (unit.leave.payload == left))
        self.claim("the second word is the next", ~inside["filled"] | (inside["spare"] == (left + 1)[:4]))
        self.claim("it holds the words that entered and did not leave", within == unit.leave.valid + inside["filled"])
        self.claim("a second word comes after a first", ~inside["filled"] | unit.leave.valid)
        self.claim("it refuses a word only when it holds two", (within == 2) == ~unit.enter.ready)
        self.stays("word", unit.leave.valid, unit.leave.ready, unit.leave.payload)
        self.cover("it is full", within == 2)


class Room(Harness):
    """``room_for`` as it is used: a word enters only if there is room."""

    DEPTH = 64

    def describe(self) -> None:
        made, enters, leaves = Module(), self.free("enters"), self.free("leaves")
        room = room_for(made, self.DEPTH, enters, leaves)
        inside = self.place(made)
        held = self.count("held", 8, enters, leaves)
        self.assume("a word enters where there is room", ~enters | room)
        self.assume("a word that leaves was inside", ~leaves | (held != 0))
        self.claim("it never holds more", held <= self.DEPTH)
        self.claim("there is room exactly where it is not full", room == (held < self.DEPTH))
        self.claim("the count is exact", inside["$signal"] == held)
        self.cover("a word leaves as one enters", enters & leaves & (held == 5))


class Stock(Harness):
    """``stock_of`` as it is used: a word leaves only if there is one, and their number never exceeds the counter."""

    DEPTH = 8

    def describe(self) -> None:
        made, enters, leaves = Module(), self.free("enters"), self.free("leaves")
        some = stock_of(made, "words", self.DEPTH, enters, leaves)
        inside = self.place(made)
        held = self.count("held", 8, enters, leaves)
        self.assume("there are no more words", ~enters | (held != self.DEPTH) | leaves)
        self.assume("a word that leaves was inside", ~leaves | some)
        self.claim("no more are there", held <= self.DEPTH)
        self.claim("there is stock exactly where there are words", some == (held != 0))
        self.claim("the count is exact", inside["words"] == held)
        self.cover("all words are there", held == self.DEPTH)


PROOFS = [
    Proof("elastic order", "load", "Elastic gives each word once, in order, loses none and holds two at most.", Order,
          faults=[Fault("a word is overwritten", Elastic.elaborate, "enter.valid & ~filled", "enter.valid"),
                  Fault("the spare word is passed over", Elastic.elaborate, "Mux(filled, spare, enter.payload)",
                        "Mux(filled, enter.payload, enter.payload)"),
                  Fault("it takes a third word", Elastic.elaborate, "enter.ready.eq(~filled)", "enter.ready.eq(1)")]),
    Proof("room", "store", "room_for says exactly whether the buffer has room, and it never holds more than its depth.",
          Room,
          faults=[Fault("one too many", room_for, "used != depth - 1", "used != depth"),
                  Fault("a word that leaves is not counted", room_for, "used.eq(used - 1)", "used.eq(used)")]),
    Proof("stock", "store", "stock_of says exactly whether there is a word.", Stock,
          faults=[Fault("the last word stays", stock_of, "count != 1", "count != 0"),
                  Fault("a word that enters is not seen", stock_of, "some.eq(1)", "some.eq(some)")]),
]
