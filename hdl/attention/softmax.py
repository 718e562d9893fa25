"""Softmax: the largest byte of each channel, the sum of its contributions in order, and a quotient for each."""

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.attention.divider import division_stages, quotient
from arrayloom.hdl.attention.real import REAL, add, addition_stages, of_bits
from arrayloom.hdl.attention.sums import SUM_BITS
from arrayloom.hdl.interfaces import instruction_layout
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import Config
from arrayloom.isa.fields import FIELD_BITS
from arrayloom.isa.instructions import BYTE_VALUES, SIGNIFICANT, WORD_ADDRESS, Softmax

DIGITS = 9          # of a quotient
TABLE_WORDS = 4     # bytes of a contribution
LOOK = 3            # cycles from a group of bytes to their contributions
DIVIDE = 1 + division_stages(DIGITS)    # the sums of a group are chosen first


class SoftmaxEngine(Component):
    """Executes Softmax: reads the table, then the source three times, a lane group in each cycle in which words are there.

    Parameters
    ----------
    config : Config

    Members
    -------
    fields : In(FIELD_BITS)
        The instruction, which stays until ``done``.
    go : In(1)
        A pulse.
    done : Out(1)
        A pulse: all is read and written.
    illegal : Out(1)
        A pulse: the table holds what is no contribution, or a sum overflows.
    ask : Out(1)
        Of the reader: ``first`` and ``count`` words.
    first : Out(WORD_ADDRESS + 1)
    step : Out(WORD_ADDRESS)
    count : Out(16)
    take : Out(1)
    valid : In(1)
    word : In(word_bits)
        The words that the reader gives.
    write, last : Out(1)
    group : Out(range(groups))
    address : Out(range(accumulator_depth))
    sums : Out(32 * attention_lanes)
        Of the bank of sums.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.lanes = config.attention_lanes
        self.groups = config.size // self.lanes
        self.addition = addition_stages(config)
        super().__init__({
            "fields": In(FIELD_BITS), "go": In(1), "done": Out(1), "illegal": Out(1), "ask": Out(1),
            "first": Out(WORD_ADDRESS + 1), "step": Out(WORD_ADDRESS), "count": Out(16), "take": Out(1), "valid": In(1),
            "word": In(config.word_bits), "write": Out(1), "last": Out(1), "group": Out(range(self.groups)),
            "address": Out(ceil_log2(config.accumulator_depth)), "sums": Out(SUM_BITS * self.lanes),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        config, fields = self.config, data.View(instruction_layout(Softmax), self.fields)
        size, table_words = config.size, BYTE_VALUES * TABLE_WORDS // config.size
        loads, finds, adds, divides = (Signal(name=name) for name in ("loads", "finds", "adds", "divides"))
        place = Signal(range(table_words), reset_less=True)
        left, pixel = Signal(16, reset_less=True), Signal(16, reset_less=True)
        group, runs, walks = Signal(range(self.groups), reset_less=True), Signal(name="runs"), Signal(name="walks")
        largest = [Signal(8, name=f"largest_{channel:03}", reset_less=True) for channel in range(size)]    # biased by 128
        totals = [Signal(REAL, name=f"total_{channel:03}", reset_less=True) for channel in range(size)]
        given = [self.word.word_select(channel, 8) for channel in range(size)]
        biased = [Cat(byte[:7], ~byte[7]) for byte in given]
        ends = group == self.groups - 1
        m.d.comb += [
            self.first.eq(Mux(loads, fields.table, fields.source)), self.step.eq(1),
            self.count.eq(Mux(loads, table_words, fields.width)), walks.eq(runs & self.valid & ~loads & ~finds),
            self.take.eq(runs & (loads | finds | ends)),
        ]
        with m.If(self.valid & runs & finds):
            m.d.sync += [most.eq(Mux(byte > most, byte, most)) for most, byte in zip(largest, biased, strict=True)]
        with m.If(self.valid & runs & loads):
            m.d.sync += place.eq(place + 1)
        with m.If(walks):
            m.d.sync += group.eq(Mux(ends, 0, group + 1))
        contributions, looked = self._look_up(m, Cat(biased), largest, group, walks, place, self.valid & runs & loads,
                                              table_words)
        self.overflows = Signal(self.lanes, name="overflows")
        self._check_table(m, self.valid & runs & loads, left == 1)
        at = Cat(divides, group, (left == 1) & ends, pixel)
        entered = delay(m, at, looked[:-1], "place_line")
        dividing = entered[0]
        self._add(m, contributions, totals, entered[1:1 + len(group)], looked[-1] & ~dividing)
        self._divide(m, contributions, totals, fields.factor, entered[1:], looked[-1] & dividing)
        with m.FSM(name="softmax"):
            with m.State("IDLE"), m.If(self.go):
                m.d.sync += [loads.eq(1), finds.eq(0), place.eq(0), left.eq(table_words)]
                m.next = "ASK"
            with m.State("ASK"):
                m.d.comb += self.ask.eq(1)
                m.d.sync += [pixel.eq(0), group.eq(0)]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += runs.eq(1)
                with m.If(self.valid & self.take):
                    m.d.sync += [pixel.eq(pixel + 1), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "PASS"
            with m.State("PASS"):       # what was read before is done with when the first word of the next pass is there
                m.d.sync += [left.eq(fields.width), loads.eq(0), finds.eq(loads), adds.eq(finds), divides.eq(adds)]
                m.next = "ASK"
                with m.If(loads):
                    m.d.sync += [most.eq(0) for most in largest]
                    m.d.sync += [total.eq(0) for total in totals]
                with m.If(divides):
                    m.next = "WAIT"
            with m.State("WAIT"), m.If(~Cat(looked).any() & ~self.flying):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m

    def _look_up(self, m: Module, held: Any, largest: list[Signal], group: Signal, walks: Signal, place: Signal,
                 stores: Any, table_words: int) -> tuple[list[Any], list[Any]]:
        """The contributions of a group's bytes, ``LOOK`` cycles after it, and the flags of the way."""
        config = self.config
        looked = flag_line(m, walks, LOOK, "looked")
        per_word = BYTE_VALUES // table_words
        found = []
        for lane in range(self.lanes):
            m.submodules[f"table_{lane}"] = memory = Memory(shape=config.word_bits, depth=table_words, init=[])
            write, read = memory.write_port(), memory.read_port()
            byte = Array([held.word_select(index * self.lanes + lane, 8) for index in range(self.groups)])[group]
            most = Array([largest[index * self.lanes + lane] for index in range(self.groups)])[group]
            entry = data_register(m, (byte - most + BYTE_VALUES - 1)[:8], looked[0], f"entry_{lane}")
            m.d.comb += [
                write.en.eq(stores), write.addr.eq(place), write.data.eq(self.word),
                read.en.eq(looked[1]), read.addr.eq(entry[ceil_log2(per_word):] if per_word > 1 else entry),
            ]
            low = delay(m, entry[:ceil_log2(per_word)], [looked[1]], f"low_{lane}") if per_word > 1 else 0
            bits = read.data.word_select(low, SUM_BITS) if per_word > 1 else read.data
            found.append(data_register(m, of_bits(bits), looked[2], f"contribution_{lane}"))
        return found, looked

    def _check_table(self, m: Module, stores: Any, last: Any) -> None:
        """A contribution is finite and not negative, and that of the largest byte is not zero."""
        wrong = Signal(name="wrong")
        floats = [self.word.word_select(place, SUM_BITS) for place in range(self.config.size // TABLE_WORDS)]
        bad = [(one[-1] & one[:-1].any()) | one[SIGNIFICANT - 1:-1].all() for one in floats]
        m.d.sync += wrong.eq(stores & (Cat(bad).any() | (last & ~floats[-1][:-1].any())))
        m.d.comb += self.illegal.eq(wrong | self.overflows.any())

    def _total(self, totals: list[Signal], lane: int, group: Any) -> Any:
        return Array([totals[index * self.lanes + lane].as_value() for index in range(self.groups)])[group]

    def _add(self, m: Module, contributions: list[Any], totals: list[Signal], group: Any, enable: Any) -> None:
        """A channel's sum is complete before its next contribution, a word later, is added."""
        stages = flag_line(m, enable, self.addition - 1, "adding")
        place = delay(m, group, stages[:-1], "added_place")
        for lane, value in enumerate(contributions):
            result = add(m, f"sum_{lane}", self._total(totals, lane, group), value, stages[:-1])
            m.d.sync += self.overflows[lane].eq(stages[-1] & data.View(REAL, result).exponent.all())
            for index in range(self.groups):
                with m.If(stages[-1] & (place == index)):
                    m.d.sync += totals[index * self.lanes + lane].eq(result)

    def _divide(self, m: Module, contributions: list[Any], totals: list[Signal], factor: Any, at: Any, enable: Any) -> None:
        bits = len(self.group)
        stages = flag_line(m, enable, DIVIDE, "dividing")
        self.flying = Signal(name="flying")
        m.d.comb += self.flying.eq(Cat(stages).any())
        results = []
        for lane, value in enumerate(contributions):
            total = data_register(m, self._total(totals, lane, at[:bits]), stages[0], f"divided_by_{lane}")
            given = data_register(m, value, stages[0], f"divided_{lane}")
            results.append(quotient(m, f"quotient_{lane}", given, factor, total, stages[1:-1], DIGITS))
        place = delay(m, at, stages[:-1], "divided_place")
        m.d.comb += [
            self.write.eq(stages[-1]), self.group.eq(place[:bits]), self.last.eq(place[bits]),
            self.address.eq(place[bits + 1:]),
            self.sums.eq(Cat(_in_sum(result) for result in results)),
        ]


def _in_sum(value: Any) -> Any:
    """A quotient in the bits of a sum."""
    return Cat(value, Const(0, SUM_BITS))[:SUM_BITS]
