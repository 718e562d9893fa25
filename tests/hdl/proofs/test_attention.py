"""The ATTENTION unit: what it takes is what the ISA says, what it reads and writes lies in the scratchpad, and the weight
FIFO is filled in the order of the program."""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Mux, Signal, Value
from amaranth.lib import data
from proving import Fault, Harness, Inside, Method, Proof
from proving.cases import test_a_planted_fault_is_found, test_it_holds

from arrayloom.hdl.attention.mover import Mover
from arrayloom.hdl.attention.reader import AHEAD, Reader
from arrayloom.hdl.attention.unit import AttentionUnit
from arrayloom.hdl.fill_order import FillOrder
from arrayloom.hdl.interfaces import bank_of, instruction_layout
from arrayloom.isa.config import PRESETS
from arrayloom.isa.instructions import EXTENT, WORD_ADDRESS, FeedWeights, Moments, Normalize, Softmax, Turn

__all__ = ["test_a_planted_fault_is_found", "test_it_holds"]

CONFIG = PRESETS["tiny-vit"]
READS = 2       # the state of the mover in which words are taken
WIDE = 24       # bits for every sum of a word in the scratchpad and a pitch


def _legal(word: Value, kept: Value) -> Value:
    """Whether the word is an instruction of the unit in the ISA, after moments of ``kept`` pixels."""
    feed, turn, softmax, moments, normalize = (
        data.View(instruction_layout(cls), word) for cls in (FeedWeights, Turn, Softmax, Moments, Normalize))
    size, depth = CONFIG.size, CONFIG.accumulator_depth
    rules = {
        FeedWeights: (feed.tiles != 0, feed.rows != 0, feed.rows <= size, feed.reserved == 0),
        Turn: (turn.tiles != 0, turn.rows != 0, turn.rows <= size, turn.reserved == 0),
        Softmax: (softmax.width != 0, softmax.width <= depth, softmax.factor != 0, softmax.reserved == 0),
        Moments: (moments.width != 0, moments.width <= depth, moments.epsilon != 0, moments.blocks != 0,
                  moments.channels > (moments.blocks - 1).as_unsigned() * size, moments.channels <= moments.blocks * size,
                  moments.reserved == 0),
        Normalize: (normalize.width != 0, normalize.width <= depth, normalize.width == kept, normalize.reserved == 0),
    }
    return reduce(or_, [(feed.opcode == cls.OPCODE) & Cat(of_it).all() for cls, of_it in rules.items()])


class Attentions(Harness):
    """The unit with any words, and any memory, sums and FIFO around it."""

    def describe(self) -> None:
        m, unit = self.m, AttentionUnit(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        port, fields = unit.unit, inside["fields"]
        holds, checked, works, failed = (inside[name] for name in ("holds", "checked", "works", "failed"))
        opcode = data.View(instruction_layout(FeedWeights), fields).opcode
        kept = Signal(EXTENT, name="pixels_with_moments")
        with m.If(port.retired & (opcode == Moments.OPCODE)):
            m.d.sync += kept.eq(data.View(instruction_layout(Moments), fields).width)
        legal = Signal(name="legal_in_the_isa")
        m.d.comb += legal.eq(_legal(fields, kept))
        begins, fills = inside["begins"], (opcode == Softmax.OPCODE) | (opcode == Normalize.OPCODE)
        room = inside.part("banks").all("free")[0]
        begins_now = checked & ~works & ~failed
        beyond = Cat(inside.part(name).all("beyond")[0] for name in ("reader", "mover")).any()
        wrong = beyond | inside.part("softmax").all("illegal")[0]
        self.claim("pixels with moments are counted", inside["kept"] == kept)
        self.claim("what is checked is held", ~checked | holds)
        self.claim("what works was legal", ~works | (checked & inside["legal"]))
        self.claim("it is legal exactly if the ISA says so", ~checked | (inside["legal"] == legal))
        self.claim("what is legal begins when there is room", begins == (begins_now & legal & (room | ~fills)))
        self.claim("what is not is a fault", port.illegal == ((begins_now & ~legal) | wrong))
        self.claim("after a fault nothing is taken", ~self.past(port.illegal | failed) | (failed & ~port.instruction.ready))
        self.claim("nor begun", ~failed | ~begins)
        done = self.past(port.retired)
        self.claim("it is checked in the next cycle", ~self.past(holds & ~checked) | checked | done)
        self.claim("it stays while it is held", ~self.past(holds) | done | (holds & (fields == self.past(fields))))
        self.cover("a softmax begins", begins & fills)


class Words(Harness):
    """``Reader``: any instructions of its unit, and a scratchpad that accepts a request when it likes."""

    def describe(self) -> None:
        m, unit = self.m, Reader(CONFIG)
        inside = self.place(unit)
        self.drive(unit)
        reached, step, left = (Signal(WIDE, name=name) for name in ("next_word", "step_of_words", "words_left"))
        gone = Signal(name="left_the_scratchpad")
        asks, offered, accepted = inside["asks"], unit.read.valid, unit.read.valid & unit.read.ready
        self.assume("words are asked for when all before are", ~unit.go | ~asks)
        self.assume("there are some", ~unit.go | (unit.count != 0))
        with m.If(unit.go):
            m.d.sync += [reached.eq(unit.first), step.eq(unit.step), left.eq(unit.count)]
        with m.Elif(accepted):
            m.d.sync += [reached.eq(reached + step), left.eq(left - 1)]
        m.d.sync += gone.eq(gone | unit.beyond)
        outside = reached >= CONFIG.activation_words
        self.claim("each word is the next of the instruction", ~asks | gone | (inside["address"] == reached))
        self.claim("its step is kept", ~asks | (inside["step"] == step))
        self.claim("as many are left as there are", ~asks | ((inside["left"] == left) & (left != 0) & (left < 1 << EXTENT)))
        self.claim("no sum is too large", gone | ~asks | (reached < 2 << WORD_ADDRESS))
        self.claim("a step fits", ~asks | (step < 1 << WORD_ADDRESS))
        self.claim("a word in the scratchpad is asked for", gone | ~offered | outside | (unit.read.address == reached))
        self.claim("one beyond is a fault", gone | (unit.beyond == (offered & outside)))
        self.claim("the bank is that of the word", gone | ~offered | outside | (
            unit.read.bank == bank_of(reached[:WORD_ADDRESS], CONFIG)))
        self.claim("the last ends it", ~self.past(accepted & (left == 1)) | ~asks | self.past(unit.go))
        waits = self.past(offered & ~unit.read.ready & ~unit.go)
        self.claim("what waits stays", ~waits | (offered & (unit.read.address == self.past(unit.read.address))))
        self._room(inside)
        self.cover("a second word is read", accepted & (left == 1) & self.past(accepted))
        self.cover("words leave the scratchpad", unit.beyond)

    def _room(self, inside: Inside) -> None:
        """Words that are on their way have room."""
        words, held, arrives = inside.part("words"), inside["held"], inside["arrives"]
        level = words["inner_level"] + words["r_rdy"]
        self.claim("held words and those on their way are counted", held == level + sum(arrives))
        self.claim("there are no more than there is room for", held <= AHEAD)
        self.claim("the oldest word is offered", words["r_rdy"] | (words["inner_level"] <= 1))
        self.claim("no word is lost", ~arrives[-1] | words["w_rdy"])


class Moves(Harness):
    """``Mover``: any instruction, words when they come, and a scratchpad and a FIFO that accept a word when they like."""

    def describe(self) -> None:
        m, unit = self.m, Mover(CONFIG)
        inside = self.place(unit)
        fields = self.fixed("instruction", len(unit.fields))
        self.drive(unit, fields=fields)
        turn, feeds = data.View(instruction_layout(Turn), fields), data.View(instruction_layout(FeedWeights), fields)
        busy = self.since(unit.go, unit.done, "busy")
        self.assume("one instruction after the other", ~unit.go | ~busy)
        reads = inside["mover_state"] == READS
        self.assume("words come only when they are asked for", ~unit.valid | reads)
        row, word, source = (Signal(WIDE, name=name) for name in ("first_word_of_square", "next_word", "first_word_read"))
        gone, left_source = (Signal(name=name) for name in ("wrote_beyond", "read_beyond"))
        column = Signal(8, name="column")
        is_feed = feeds.opcode == FeedWeights.OPCODE
        self.assume("counts are legal, as the unit ensures", turn.tiles.any() & turn.rows.any() & (turn.rows <= CONFIG.size))
        self._squares(inside, busy, turn.rows)
        writes = unit.write.valid & unit.write.ready
        moves = Mux(is_feed, unit.feed.valid, writes)
        last = column == CONFIG.size - 1
        with m.If(unit.go):
            m.d.sync += [row.eq(turn.destination), word.eq(turn.destination), column.eq(0), source.eq(turn.source),
                         gone.eq(0), left_source.eq(0)]
        with m.Else():
            with m.If(moves):
                m.d.sync += [word.eq(Mux(last, row + turn.destination_pitch, word + 1)),
                             column.eq(Mux(last, 0, column + 1))]
            with m.If(moves & last):
                m.d.sync += row.eq(row + turn.destination_pitch)
            with m.If(unit.valid & reads & (inside["row"] == turn.rows - 1)):
                m.d.sync += source.eq(source + turn.pitch)
            m.d.sync += [gone.eq(gone | unit.beyond), left_source.eq(left_source | (source >= CONFIG.activation_words))]
        outside = word >= CONFIG.activation_words
        self.claim("the column is counted", ~busy | (inside["place"] == column) & (column < CONFIG.size))
        self.claim("each square begins where it is given", ~busy | gone | is_feed | (inside["base"] == row))
        self.claim("each word is the next", ~busy | gone | is_feed | (inside["target"] == word))
        self.claim("a word is the square's", ~busy | gone | is_feed | (word == row + column))
        self.claim("no sum is too large", ~busy | gone | is_feed | (row < 2 << WORD_ADDRESS))
        self.claim("a word in the scratchpad is written", ~busy | gone | ~unit.write.valid | outside | (
            unit.write.address == word))
        self.claim("in its bank", ~busy | gone | ~unit.write.valid | outside | (
            unit.write.bank == bank_of(word[:WORD_ADDRESS], CONFIG)))
        self.claim("one beyond is a fault", ~busy | gone | (unit.beyond == (unit.write.valid & outside)))
        self.claim("words of a tile are the next to read", ~busy | left_source | (inside["source"] == source))
        self.claim("and what is asked for", ~busy | left_source | ~unit.ask | (unit.first == source) & (
            unit.count == turn.rows) & (unit.step == 1))
        self.claim("no word read is too far", ~busy | left_source | (source < 2 << WORD_ADDRESS))
        self.claim("weights go where there is room", ~unit.feed.valid | unit.feed.free.any())
        self.stays("word", unit.write.valid, unit.write.ready, unit.write.address, unit.write.data)
        self.cover("a second square is written", writes & (row != turn.destination) & last)

    def _squares(self, inside: Inside, busy: Value, rows: Value) -> None:
        """Of the squares that are left, some are held, in the order in which they are read, and the others unread."""
        full, into, out, unread = (inside[name] for name in ("full", "into", "out", "unread"))
        state = inside["mover_state"]
        count = full[0] + full[1]
        self.claim("squares are counted", ~busy | ((inside["left"] == unread + count) & (inside["left"] != 0)))
        self.claim("without an instruction there are none", busy | ((state == 0) & (count == 0)))
        self.claim("some are unread while it reads", ~busy | ((state != 0) == (unread != 0)))
        self.claim("they are held in turn", (into == out) == (count != 1))
        self.claim("the oldest is given", (count == 0) | full.bit_select(out, 1))
        self.claim("a square is read to where none is held", (state != READS) | (
            ~full.bit_select(into, 1) & (inside["row"] < rows)))
        self.claim("there is no other state", state <= READS)


class Fills(Harness):
    """``FillOrder``: any instructions, pushed one at a time, accepted and completed in order. One of them is any."""

    def describe(self) -> None:
        m, unit = self.m, FillOrder(CONFIG)
        self.place(unit)
        self.drive(unit)
        one, other = unit.fillers
        waiting, flying = [], []
        for side, filler in enumerate(unit.fillers):
            fills = filler.accepted & filler.fills
            waiting.append(self.count(f"waiting_{side}", 5, filler.pushed, fills))
            flying.append(self.count(f"flying_{side}", 5, filler.accepted, filler.retired))
            self.assume(f"what is accepted was pushed, {side}", ~fills | waiting[side].any())
            self.assume(f"what ends was accepted, {side}", ~filler.retired | flying[side].any())
            self.assume(f"there is room in the queue, {side}", ~filler.pushed | (waiting[side] < CONFIG.queue_depth + 1))
            self.assume(f"there is room in the unit, {side}", ~filler.accepted | (flying[side] < 8))
        self.assume("one is pushed at a time", ~(one.pushed & other.pushed))
        # The watched one is of the first unit; those of the other before it, and its own that wait before it.
        watched, fault = Signal(name="watched"), Signal(name="accepted_too_early")
        before, own = Signal(6, name="others_before_it"), Signal(5, name="own_before_it")
        complete = other.retired & self._kind(other, "kinds_of_others")
        outstanding = self.count("others_outstanding", 6, other.pushed, complete)
        begins = self.free("watch_this_one") & one.pushed & ~watched
        taken = one.accepted & one.fills
        with m.If(begins):
            m.d.sync += [watched.eq(1), before.eq(outstanding - complete), own.eq(waiting[0] - taken)]
        with m.Elif(watched):
            m.d.sync += [before.eq(Mux(before.any(), before - complete, 0)), own.eq(own - taken),
                         watched.eq(~(taken & ~own.any()))]
        m.d.sync += fault.eq(watched & taken & ~own.any() & before.any())
        its = self.past(watched & taken & ~own.any())
        earlier = self.since(one.unordered | other.unordered, 0, "a_fault_before")
        self.claim("the watched one is a fault exactly if it is too early", ~its | earlier | (one.unordered == fault))
        self.cover("the watched one is too early", fault)
        self.cover("another is in time", its & ~fault & outstanding.any())

    def _kind(self, filler: Any, name: str) -> Value:
        """Whether the oldest instruction in a unit fills the FIFO: the kinds of those accepted, oldest first."""
        kinds, count = Signal(8, name=name), Signal(4, name=f"{name}_count")
        rest, left = Mux(filler.retired, kinds >> 1, kinds), count - filler.retired
        self.m.d.sync += [count.eq(left + filler.accepted), kinds.eq(Cat(
            Mux(filler.accepted & (left == place), filler.fills, rest[place]) for place in range(8)))]
        return kinds[0]


PROOFS = [
    Proof("instructions of ATTENTION", "attention",
          "Each word begins if it is an instruction of the unit and legal, once there is room for its sums, else it is a "
          "fault; legal is what the ISA says.", Attentions, depth=1, cover_depth=6, slow_faults=True, faults=[
              Fault("a count is not looked at", AttentionUnit._is_legal, "for name in counts]", "for name in counts[1:]]"),
              Fault("one pixel too many", AttentionUnit._is_legal, "view.width <= depth", "view.width <= depth + 1"),
              Fault("a block too many", AttentionUnit._is_legal, "view.channels + size - 1", "view.channels + size"),
              Fault("any moments will do", AttentionUnit._is_legal, "view.width == kept", "kept.any()"),
              Fault("it begins without a bank", AttentionUnit.elaborate, "(banks.free | ~fills)", "1")]),
    Proof("words that ATTENTION reads", "attention",
          "Reader requests exactly the words that it is given, each until it is accepted; one beyond the scratchpad is a "
          "fault.", Words, depth=1, cover_depth=8, faults=[
              Fault("a carry is lost", Reader.elaborate, "Signal(WORD_ADDRESS + 1, reset_less=True)",
                    "Signal(WORD_ADDRESS, reset_less=True)"),
              Fault("a word too many", Reader.elaborate, "left != 1", "left != 0")]),
    Proof("words that ATTENTION moves", "attention",
          "Mover reads the words of each square and writes each word of its turned one; one beyond the scratchpad is a "
          "fault.", Moves, depth=1, cover_depth=26, slow_faults=True, faults=[
              Fault("squares follow one another", Mover.elaborate, "target.eq(base + turn.destination_pitch)",
                    "target.eq(target + 1)"),
              Fault("what lies beyond wraps", Mover.elaborate,
                    "self.write.valid & leaves_scratchpad(target, self.config)", "0"),
              Fault("the FIFO's room is ignored", Mover.elaborate,
                    "self.feed.valid.eq(gives & feeds & self.feed.free.any())", "self.feed.valid.eq(gives & feeds)")]),
    Proof("the order of fills", "weight_fifo",
          "An instruction that fills the weight FIFO is a fault exactly if it is accepted before an earlier one of the "
          "other unit is complete.", Fills, Method.BOUNDED, depth=6, cover_depth=8, faults=[
              Fault("the number is that of the unit itself", FillOrder.elaborate, "needs.w_data.eq(sent[1 - side])",
                    "needs.w_data.eq(sent[side])"),
              Fault("every instruction counts", FillOrder.elaborate, "filler.retired & kinds.r_data", "filler.retired"),
              Fault("accepted is complete", FillOrder.elaborate, "done[side] + ends", "done[side] + fills")]),
]
