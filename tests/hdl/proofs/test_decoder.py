"""Decoding: every word is either an instruction, sent to its unit, or a fault; there is no third case."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Signal, Value
from amaranth.lib import data
from proving import Fault, Harness, Inside, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.array import decoder
from arrayloom.hdl.array.decoder import Decoder
from arrayloom.hdl.fetch import Fetch
from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.isa.config import PRESETS, Config
from arrayloom.isa.fields import FIELD_BITS, Instruction, Unit
from arrayloom.isa.instructions import CentredConvolve, Convolve

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG, ATTENTION = PRESETS["tiny"], PRESETS["tiny-vit"]


def _is(cls: type[Instruction], word: Value, config: Config) -> Value:
    """Whether the word is an instruction of that class in the ISA: its opcode, its masks, and no undefined bit."""
    opcode, wait, signal, *_ = cls.specs()
    last = cls.specs()[-1]
    masks = [word[spec.offset:spec.offset + spec.width] for spec in (wait, signal)]
    known = sum(1 << unit for unit in config.units) if cls.UNIT is not None else 0     # an End neither waits nor signals
    beyond = word[last.offset + last.width:].any()
    return (word[:opcode.width] == cls.OPCODE) & ~beyond & ((masks[0] | masks[1]) & ~known == 0)


class Words(Harness):
    """FETCH with any words in its storage, and any memory and queues around it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def describe(self) -> None:
        unit = Fetch(self.config)
        inside = self.place(unit)
        self.drive(unit)
        control, current = unit.control, inside["current"]
        word, check, push = current[:FIELD_BITS], inside.state("CHECK"), inside.state("PUSH")
        self.assume("a run starts when nothing is decoded", ~control.start | (inside.state("DECODE") & ~unit.full))
        units = {one: reduce(or_, [_is(cls, word, self.config) for cls in self.config.instructions if cls.UNIT is one])
                 for one in (None, *self.config.units)}
        legal = reduce(or_, units.values())
        self.claim("the state machine is in a valid state", inside["fsm_state"] <= 4)
        self.claim("a checked instruction is complete", ~(check | push) | unit.full)
        self.claim("excess is zero exactly for legal instructions", ~(check | push) | (~unit.excess.any() == legal))
        self.claim("the target unit is known", ~(check | push) | ~legal | Cat(
            inside["target"][one] == units[one] for one in self.config.units).all() & (inside["ends"] == units[None]))
        self._outcome(unit, inside, legal, units)
        self.claim("only complete and legal instructions are pushed", ~push | (legal & ~units[None]))
        for one in self.config.units:
            queue = unit.queues[one]
            self.claim(f"{one.name} gets what is its own", queue.valid == (push & units[one]))
            self.claim(f"{one.name} gets it unchanged", queue.payload == word)
            self.stays(f"instruction of {one.name}", queue.valid, queue.ready, queue.payload)
        self.cover("a word is checked", check)

    def _outcome(self, unit: Fetch, inside: Inside, legal: Value, units: dict[Unit | None, Value]) -> None:
        control, checked = unit.control, self.past(inside.state("CHECK"), "was_checked")
        current = inside["current"]
        damaged = self.past(current[FIELD_BITS:] != ~unit.check)
        broken, was_legal, ended = self.past(unit.fault), self.past(legal), self.past(units[None])
        ways = [control.bus_error, control.damaged, control.illegal, inside.state("ENDED"), inside.state("PUSH")]
        meant = [broken, ~broken & damaged, ~broken & ~damaged & ~was_legal, ~broken & ~damaged & was_legal & ended,
                 ~broken & ~damaged & was_legal & ~ended]
        names = ("a word that the bus refused", "a damaged one", "an illegal one", "an end", "any other")
        for name, way, one in zip(names, ways, meant, strict=True):
            self.claim(f"{name} goes its way", ~checked | (way == one))


class Convolves(Harness):
    """ARRAY's decoder: any words, accepted at any time."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config

    def describe(self) -> None:
        m, config = self.m, self.config
        unit = Decoder(config)
        inside = self.place(unit)
        self.drive(unit)
        self.now = Signal(instruction_layout(Convolve), name="planned_instruction")
        pixels, fields = Signal(32, name="pixels_of_it"), data.View(instruction_layout(Convolve), inside["fields"])
        with m.If(inside["advance"] & inside["holds"]):
            m.d.sync += [self.now.as_value().eq(fields.as_value()), pixels.eq(fields.height * fields.width)]
        counts = Cat(self.now[name].any() for name in decoder.COUNTS).all()
        fits = counts & ~self.now.reserved.any() & (pixels <= config.accumulator_depth)
        taken = unit.plan.valid & unit.plan.ready
        in_use, begun = Signal(name="bank_is_in_use"), Signal(32, name="pixels_begun")
        with m.If(taken):
            m.d.sync += [in_use.eq(~self.now.last), begun.eq(pixels)]
        legal = fits & (self.now.first != in_use) & (self.now.first | (pixels == begun))
        planned, checked = inside["planned"], inside["checked"]
        plan = unit.plan.payload
        self.claim("a checked instruction has a plan", ~checked | planned)
        self.claim("the plan is of the instruction", ~planned | (plan.first == self.now.first)
                   & (plan.last == self.now.last))
        if config.attention_lanes:
            self.claim("zero points are taken where they are to be", ~planned | (
                plan.centred == (self.now.opcode == CentredConvolve.OPCODE)))
        self.claim("its pixels are counted", ~planned | (inside["pixels"] == pixels))
        self.claim("its counts are checked", ~planned | (inside["counted"] == (counts & ~self.now.reserved.any())))
        self.claim("the begun bank is recorded", (inside["bank_in_use"] == in_use)
                   & (inside["begun"] == begun & in_use.replicate(32)))
        self.claim("whether it fits is known", ~checked | ((inside["fits"] == fits) & (
            ~in_use | (inside["as_begun"] == (pixels == begun)))))
        failed = inside["failed"]
        self.claim("a checked instruction is planned if it is legal", ~checked | failed | (unit.plan.valid == legal))
        self.claim("an illegal instruction is a fault", ~checked | failed | (unit.illegal == ~legal))
        self.claim("nothing else is planned or a fault", checked | (~unit.plan.valid & ~unit.illegal))
        self.claim("after a fault nothing is taken", ~self.past(unit.illegal | failed) | (failed & ~unit.instruction.ready))
        self.claim("it is checked in the next cycle", ~self.past(planned & ~inside["advance"]) | checked)
        self.claim("it is planned in the next cycle", ~self.past(inside["holds"] & inside["advance"]) | planned)
        self.cover("an instruction continues a bank", taken & ~self.now.first)


PROOFS = [
    Proof("words that are fetched", "fetch",
          "Every 480-bit word is sent unchanged to the one unit defined by the ISA, or is an end, or one of three faults, "
          "as the ISA defines.", lambda: Words(CONFIG), cover_depth=40, slow_faults=True, faults=[
              Fault("some reserved bits are not checked", Fetch._decode, "max(start + PART_BITS, reserved)]",
                    "max(start + PART_BITS - 1, reserved)]"),
              Fault("an End may have tokens", Fetch._decode, "Cat(*parts, Cat(view.wait, view.signal).any())",
                    "Cat(*parts, 0)"),
              Fault("unknown opcodes are taken", Fetch._decode, "self.excess.eq(~0)", "self.excess.eq(0)"),
              Fault("damage is not checked", Fetch._check, "with m.Elif(damaged)", "with m.Elif(0)")]),
    Proof("instructions of ARRAY", "array",
          "Each Convolve is planned if it is legal, else a fault; the ISA and the state left by its predecessor define "
          "what is legal.", lambda: Convolves(CONFIG), depth=1, cover_depth=10, slow_faults=True, faults=[
              Fault("a count is not checked", Decoder._plan, "for name in COUNTS", "for name in COUNTS[1:]"),
              Fault("one pixel too many", Decoder._plan, "pixels <= self.config.accumulator_depth",
                    "pixels <= self.config.accumulator_depth + 1"),
              Fault("an instruction continues any bank", Decoder.elaborate, "& (self.plan.payload.first | as_begun)", "")]),
    Proof("words that are fetched for ATTENTION", "fetch",
          "Likewise where there is the ATTENTION unit, with the units and instructions of such an accelerator.",
          lambda: Words(ATTENTION), cover_depth=40, slow=True, faults=[
              Fault("units that it lacks are not looked for", Fetch._empty_places, "if slot not in units", "if False")]),
    Proof("instructions of ARRAY with zero points", "array",
          "Likewise for each Convolve and CentredConvolve; only the latter takes a zero point.",
          lambda: Convolves(ATTENTION), depth=1, cover_depth=10, slow=True, faults=[
              Fault("every instruction takes one", Decoder._plan, "fields.opcode == CentredConvolve.OPCODE",
                    "fields.opcode.any()")]),
]
