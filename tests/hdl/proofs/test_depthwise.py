"""The DEPTHWISE unit: what it decodes is what the ISA says, what it reads lies in the scratchpad, and each drain finds the
sums that it asks for."""

from amaranth.hdl import Cat, Signal
from amaranth.lib import data
from proving import Fault, Harness, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds
from small_accelerators import DEPTHWISE

from arrayloom.hdl.depthwise import decoder
from arrayloom.hdl.depthwise.choice import SumsChoice
from arrayloom.hdl.depthwise.decoder import DepthwiseDecoder
from arrayloom.hdl.depthwise.walker import Walker
from arrayloom.hdl.interfaces import bank_of, instruction_layout
from arrayloom.isa.instructions import Depthwise

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

MOST = 4        # drains inside the POST unit


class Depthwises(Harness):
    """The decoder: any words, taken at any time."""

    def describe(self) -> None:
        m, unit = self.m, DepthwiseDecoder(DEPTHWISE)
        inside = self.place(unit)
        self.drive(unit)
        now = Signal(instruction_layout(Depthwise), name="planned_instruction")
        pixels, fields = Signal(32, name="pixels_of_it"), data.View(instruction_layout(Depthwise), inside["fields"])
        with m.If(inside["advance"] & inside["holds"]):
            m.d.sync += [now.as_value().eq(fields.as_value()), pixels.eq(fields.height * fields.width)]
        counts = Cat(now[name].any() for name in decoder.COUNTS).all() & ~now.reserved.any()
        legal = counts & (pixels <= DEPTHWISE.accumulator_depth)
        planned, checked, failed = inside["planned"], inside["checked"], inside["failed"]
        plan = unit.plan.payload
        self.claim("what is checked is planned", ~checked | planned)
        self.claim("its pixels are counted", ~planned | (inside["pixels"] == pixels))
        self.claim("its counts are looked at", ~planned | (inside["counted"] == counts))
        self.claim("whether it is legal is known", ~checked | (inside["legal"] == legal))
        kept = ("height", "width", "taps_y", "taps_x", "repeats", "weights", "padding")
        self.claim("the plan is of the instruction", ~planned | Cat(plan[name] == now[name] for name in kept).all())
        self.claim("columns are taken together where they can", ~planned | (plan.narrow == (
            (now.dilation_x != 1) | (now.taps_x == 1) | (now.stride_x == 0) | (now.stride_x > 2))))
        self.claim("a checked instruction is planned if it is legal", ~checked | failed | (unit.plan.valid == legal))
        self.claim("else it is a fault", ~checked | failed | (unit.illegal == ~legal))
        self.claim("nothing else is", checked | (~unit.plan.valid & ~unit.illegal))
        self.claim("after a fault nothing is taken", ~self.past(unit.illegal | failed) | (failed & ~unit.instruction.ready))
        self.claim("it is checked in the next cycle", ~self.past(planned & ~inside["advance"]) | checked)
        self.claim("it is planned in the next cycle", ~self.past(inside["holds"] & inside["advance"]) | planned)
        self.cover("one is planned", unit.plan.valid & unit.plan.ready)


class Reads(Harness):
    """``Walker``: any passes, and a scratchpad that takes each request when it likes."""

    def describe(self) -> None:
        unit = Walker(DEPTHWISE)
        inside = self.place(unit)
        self.drive(unit)
        self.assume("what reads nothing does not wait", unit.taken | unit.read)
        held = inside["held"]
        self.claim("the bank is that of the word", ~unit.read | (unit.bank == bank_of(held, DEPTHWISE)))
        self.claim("a word in the scratchpad is the one that is asked for",
                   unit.beyond | ~unit.read | (unit.address == held))
        self.claim("a word beyond it is a fault", unit.beyond == (unit.read & (held >= DEPTHWISE.activation_words)))
        waited = self.past(unit.read & ~unit.taken)
        self.claim("what waits stays", ~waited | (unit.valid == self.past(unit.valid)) & unit.read & (
            held == self.past(held)) & (unit.slot.as_value() == self.past(unit.slot.as_value())))
        self.claim("only slots read", unit.valid | ~unit.read)
        self.cover("a word of the source is read", unit.read & ~unit.slot.weight)


class Drains(Harness):
    """``SumsChoice``: any drains that are accepted and released in order, at most ``MOST`` at a time. One of them is any."""

    def describe(self) -> None:
        m, unit = self.m, SumsChoice(DEPTHWISE, MOST)
        inside = self.place(unit)
        self.drive(unit)
        post, array, depthwise = unit.post, unit.array, unit.depthwise
        count = Signal(range(MOST + 1), name="drains_inside")
        self.assume("only a drain that is there is released", ~post.release | count.any())
        self.assume("there is room for what is accepted", ~unit.drains | (count != MOST))
        m.d.sync += count.eq(count + unit.drains - post.release)
        # The watched drain: whose sums it is of, and how many are before it.
        watched, kind, before = (Signal(name="watched"), Signal(name="its_kind"),
                                 Signal(range(MOST + 1), name="drains_before_it"))
        begins = self.free("watch_this_one") & unit.drains & ~watched
        with m.If(begins):
            m.d.sync += [watched.eq(1), kind.eq(unit.of_depthwise), before.eq(count - post.release)]
        with m.Elif(watched & post.release):
            m.d.sync += [before.eq(before - 1), watched.eq(before.any())]
        first = watched & ~before.any()
        self.claim("drains are counted", (inside["count"] == count) & (count <= MOST))
        self.claim("the watched one is among them", ~watched | (before < count))
        self.claim("whose sums it is of is kept", ~watched | (inside["order"].bit_select(before, 1) == kind))
        self.claim("it reads the sums of its unit", ~first | ((array.enable == (post.enable & ~kind))
                                                              & (depthwise.enable == (post.enable & kind))))
        self.claim("it releases them", ~first | ((array.release == (post.release & ~kind))
                                                 & (depthwise.release == (post.release & kind))))
        self.claim("it waits for them", ~first | (post.available == (
            (kind & depthwise.available) | (~kind & array.available))))
        self.claim("without a drain nothing is there", count.any() | ~post.available)
        self.cover("the watched one is the fourth", watched & (before == MOST - 1))


PROOFS = [
    Proof("instructions of DEPTHWISE", "depthwise",
          "Each Depthwise is planned if it is legal, else a fault; legal is what the ISA says.", Depthwises, depth=1,
          cover_depth=10, slow_faults=True, faults=[
              Fault("a count is not looked at", DepthwiseDecoder._plan, "for name in COUNTS", "for name in COUNTS[1:]"),
              Fault("one pixel too many", DepthwiseDecoder._plan, "pixels <= self.config.accumulator_depth",
                    "pixels <= self.config.accumulator_depth + 1"),
              Fault("reserved bits are not looked at", DepthwiseDecoder._plan, "& ~fields.reserved.any()", ""),
              Fault("a stride of zero has columns together", DepthwiseDecoder._plan, "| (fields.stride_x == 0)", "")]),
    Proof("words that DEPTHWISE reads", "depthwise",
          "Each word that is requested lies in the scratchpad, in the bank that is given, and is requested until it comes; "
          "else it is a fault.", Reads, depth=1, cover_depth=20, faults=[
              Fault("what lies beyond wraps", Walker.elaborate, "self.read & leaves_scratchpad(held, self.config)", "0"),
              Fault("a weight is looked for among the pixels", Walker.elaborate, "held.eq(word)", "held.eq(address)"),
              Fault("the bank is the last one's", Walker.elaborate, "bank_of(word, self.config)",
                    "bank_of(held, self.config)")]),
    Proof("drains of two units", "depthwise",
          "Each drain reads, waits for and releases the sums of the unit that it names, in whatever order both come.",
          Drains, depth=1, cover_depth=10, faults=[
              Fault("a drain takes the place after its own", SumsChoice.elaborate, "left == place", "left + 1 == place"),
              Fault("the order stays as it was", SumsChoice.elaborate, "Mux(post.release, order >> 1, order)", "order"),
              Fault("nobody looks whose turn it is", SumsChoice.elaborate, "chosen = order[0]", "chosen = order[1]")]),
]
