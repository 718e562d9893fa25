"""The issue queue: tokens are neither taken before they are given nor lost, for any program and any units."""

from amaranth.hdl import Cat, Mux, Value
from amaranth.lib import data
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.hdl.issue import IN_FLIGHT, Issue
from arrayloom.isa.config import PRESETS
from arrayloom.isa.fields import CORE_UNITS, Instruction, Unit
from arrayloom.isa.registers import TOKEN_BITS

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

OWN = Unit.POST
MOST = (1 << TOKEN_BITS) - 1


class Tokens(Harness):
    """Any instructions, any units; a unit retires only an instruction that it has, as the queue itself asserts."""

    def describe(self) -> None:
        unit = Issue(PRESETS["tiny"], OWN)
        inside = self.place(unit)
        self.drive(unit)
        self.accepted = unit.unit.instruction.valid & unit.unit.instruction.ready
        self.head = data.View(instruction_layout(Instruction), unit.unit.instruction.payload)
        flight = self.count("flight", 8, self.accepted, unit.unit.retired)
        self.assume("a unit retires only what it has", ~unit.unit.retired | (flight != 0))
        self.claim("instructions in flight are counted", unit.status.in_flight == flight)
        self.claim("no more instructions are in flight than fit", flight <= IN_FLIGHT)
        self.claim("an instruction is in flight", inside["flying"] == (flight != 0))
        self.claim("its own bit waits for earlier instructions", ~(self.accepted & self.head.wait[OWN]) | (flight == 0))
        self.claim("a token for the unit itself is not accepted", ~(self.accepted & self.head.signal[OWN]))
        self.claim("tokens are given when an instruction retires", unit.unit.retired | (unit.signal == 0))
        self.claim("absent units get no tokens", ~unit.unit.retired | (unit.signal == inside.part("masks")["r_data"]))
        waiting = self.count("waiting", 8, unit.push.valid & unit.push.ready, self.accepted)
        self.claim("waiting instructions are counted", unit.status.waiting == waiting)
        spills = Cat(self._counted(unit, inside, producer) for producer in CORE_UNITS if producer is not OWN)
        self.claim("a lost token is reported", unit.status.overflow == self.past(spills.any()))
        self._offers(unit, inside)
        self.cover("an instruction with three tokens is accepted", self.accepted & (self.head.wait == 0b1011))
        self.cover("three are in flight", flight == 3)

    def _counted(self, unit: Issue, inside: Inside, producer: Unit) -> Value:
        """Counts the tokens of a producer; returns whether one is lost."""
        name = producer.name.lower()
        take = self.accepted & self.head.wait[producer]
        owed, given = self.count(f"owed_{name}", TOKEN_BITS + 2, unit.give[producer], take), self.past(unit.give[producer])
        lost = (owed == MOST + 1) & given & ~take
        before = self.since(lost, 0, f"lost_before_{name}")     # nothing is claimed after a loss: the run has failed
        self.claim(f"no token of {name} is taken that was not given", before | ~take | (owed != 0))
        self.claim(f"tokens of {name} are counted", before | (unit.status.tokens[producer] + given == owed))
        self.claim(f"whether there is one of {name} is known", before | (inside[f"there_{name}"] == (owed != 0)))
        tokens = unit.status.tokens[producer]
        self.claim(f"only a take makes tokens of {name} fewer",
                   self.past(take) | ~self.started | (tokens >= self.past(tokens)))
        self.claim(f"of {name} the last cycle is known", inside[f"given_{name}"] == given)
        self.claim(f"there are not more of {name}", before | (owed <= MOST + 1))
        return Mux(before, inside[f"given_{name}"] & ~take & (unit.status.tokens[producer] == MOST), lost)

    def _offers(self, unit: Issue, inside: Inside) -> None:
        filled, offered = inside["filled"], unit.unit.instruction.valid
        queue, masks = inside.part("queue"), inside.part("masks")
        self.stays("instruction", offered, unit.unit.instruction.ready, unit.unit.instruction.payload)
        self.claim("an offered instruction is in the queue", ~offered | (filled & inside["satisfied"] & inside["legal"]))
        self.claim("there is room for its mask", ~offered | masks["w_rdy"])
        ready = filled & inside["satisfied"] & inside["legal"] & masks["w_rdy"] & ~unit.halt & ~self.accepted
        self.claim("a ready instruction is offered in the next cycle", ~self.past(ready) | offered)
        self.claim("a waiting instruction moves to the head", ~self.past(queue["r_rdy"] & ~filled) | filled)
        self.claim("whether the queue has room is known", inside["room"] == queue["w_rdy"])
        self.claim("queues are within their depth", (queue["level"] <= PRESETS["tiny"].queue_depth)
                   & (masks["level"] <= IN_FLIGHT))


PROOFS = [
    Proof("tokens", "issue",
          "No token is taken before it is given, none is lost without OVERFLOW, and an instruction is issued in the cycle "
          "after its last token arrives, not before.", Tokens, cover_depth=18, faults=[
              Fault("a token is there too long", Issue._tokens, "(count > 1)", "(count >= 1)"),
              Fault("a token in the cycle of a take is lost", Issue._tokens, "((count == 1) & given)", "0"),
              Fault("an overflow is missed", Issue._tokens, "given & ~take & full)\n    m", "given & take & full)\n    m"),
              Fault("a full counter wraps", Issue._tokens, "m.If(given & ~take & ~full)", "m.If(given & ~take)"),
              Fault("its own bit waits for nothing", Issue.elaborate, "masks.level != 1", "0"),
              Fault("one more is in flight", Issue.elaborate, "& legal & masks.w_rdy &", "& legal &"),
              Fault("a full queue takes one more", Issue.elaborate, "queue.level != self.config.queue_depth - 1", "1")]),
]
