"""Average: the ordered float32 sum of the bytes under each window, and its conversion by a threshold search."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.pipeline import data_line, delay, flag_line
from arrayloom.hdl.post.fetch import gathered_layout
from arrayloom.hdl.post.records import TERM, TERM_BITS, TOTAL, Origin, byte_word
from arrayloom.hdl.post.rounding import excess, magnitude, round_to_24_bits, thermometer
from arrayloom.hdl.post.search import Search
from arrayloom.hdl.post.settings import Backlog
from arrayloom.hdl.post.tokens import channel_of
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import SIGNIFICANT


class AverageLane(Component):
    """The ordered sums of one lane's channels.

    Parameters
    ----------
    groups : int
        Channels of a word per lane: a power of two.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i works.
    byte : In(signed(8))
        The byte to add.
    inside : In(1)
        With ``byte``; without, zero is added.
    term : In(TERM)
        The constants of the instruction.
    fresh : In(1)
        At stage ``ADD_AT``: start from zero.
    group : In(range(groups))
        At stage ``ADD_AT``: the channel whose sum it is.
    store : In(range(groups))
        At the last stage: the channel whose sum it is.
    asked : In(range(groups))
        The channel whose sum is in ``total``.
    total : Out(TOTAL)
        That sum.
    """

    ADD_AT = 6
    LOOP = 4        # cycles from one addition to the next of the same channel
    LATENCY = ADD_AT + LOOP

    def __init__(self, groups: int) -> None:
        if groups < 1 or groups & (groups - 1):
            raise ValueError(f"groups = {groups}: must be a power of two, at least 1")
        self.groups = groups
        group = range(groups)
        super().__init__({
            "enables": In(self.LATENCY), "byte": In(signed(8)), "inside": In(1), "term": In(TERM),
            "fresh": In(1), "group": In(group), "store": In(group), "asked": In(group), "total": Out(TOTAL),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        term = self._term(m)
        m.submodules.totals = totals = memory.Memory(shape=TOTAL, depth=max(self.groups, 2), init=[])
        before, asked, after = totals.read_port(domain="comb"), totals.read_port(domain="comb"), totals.write_port()
        at, last = self.ADD_AT, self.LATENCY - 1
        total = delay(m, (Mux(self.fresh, 0, before.data) + term)[:TOTAL.width].as_signed(), self.enables[at:at + 1])
        mask = excess(m, total, self.enables[at + 1:last])
        held = delay(m, total, self.enables[at + 1:last])
        m.d.comb += [
            before.addr.eq(self.group), asked.addr.eq(self.asked), self.total.eq(asked.data),
            after.addr.eq(self.store), after.en.eq(self.enables[last]), after.data.eq(round_to_24_bits(held, mask)),
        ]
        return m

    def _term(self, m: Module) -> Value:
        """fl(scale * (byte - zero point)) in units of the scale's last place."""
        enables, half = self.enables, SIGNIFICANT // 2
        difference = delay(m, Mux(self.inside, self.byte - self.term.source_zero, 0), enables[0:1])
        negative = delay(m, difference[-1], enables[1:self.ADD_AT])
        distance = delay(m, magnitude(difference)[:TERM_BITS - SIGNIFICANT], enables[1:2])
        low, high = (delay(m, distance * self.term.multiplier.word_select(index, half), enables[2:3])
                     for index in range(2))
        size = delay(m, (low + (high << half))[:TERM_BITS], enables[3:4])
        held, mask = (delay(m, value, enables[4:5]) for value in (size, thermometer(size[SIGNIFICANT:])))
        term = delay(m, round_to_24_bits(held, mask), enables[5:6])
        return Mux(negative, -term, term)


class Average(Component):
    """Sums tap by tap and group by group, then searches; sums the next window while the result is used.

    Parameters
    ----------
    config : Config

    Members
    -------
    word : In(stream.Signature(gathered_layout(config)))
        Words under windows; those of other instructions are ignored.
    push : In(1)
        Keep ``record``, as in ``Backlog``.
    record : In(TERM)
        The constants of an instruction.
    allow : In(1)
        The instruction's thresholds are at the head of the parameter FIFO and nothing else reads it.
    complete : Out(1)
        As in ``Total``, like the next two.
    take : In(1)
    used : In(1)
    busy : Out(1)
        It sums or searches.
    read : Out(1)
        As in ``Search``, like the next two.
    offsets : Out(ArrayLayout(Search.BITS, lanes))
    thresholds : In(ArrayLayout(signed(64), lanes))
    wanted : In(range(groups))
        A group.
    result : Out(ArrayLayout(signed(8), lanes))
        Its averages.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.slots = max(config.groups, AverageLane.LOOP)
        lanes = config.lanes
        super().__init__({
            "word": In(stream.Signature(gathered_layout(config))), "push": In(1), "record": In(TERM), "allow": In(1),
            "complete": Out(1), "take": In(1), "used": In(1), "busy": Out(1),
            "read": Out(1), "offsets": Out(data.ArrayLayout(Search.BITS, lanes)),
            "thresholds": In(data.ArrayLayout(signed(64), lanes)),
            "wanted": In(range(config.groups)), "result": Out(data.ArrayLayout(signed(8), lanes)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.terms = terms = Backlog(TERM)
        m.submodules.search = search = Search(self.config)
        word, term = self.word.payload, Signal(TERM, reset_less=True)
        here = self.word.valid & (word.origin == Origin.AVERAGE)
        step, load, slot, summed = Signal(), Signal(), Signal(range(self.slots)), Signal()
        loaded, searching, holding, fresh = Signal(), Signal(), Signal(), Signal(init=1)
        last_slot = Signal()    # computed when counting
        moving = flag_line(m, step & (slot < self.config.groups), AverageLane.LATENCY - 1, "running")
        running = Cat(moving[1:])
        # the constants of an instruction's first window are loaded in a separate cycle
        m.d.comb += [
            step.eq(here & ~summed & (loaded | ~word.first)),
            load.eq(here & ~summed & word.first & ~loaded & ~running.any()),
            terms.push.eq(self.push), terms.record.eq(self.record), terms.out.ready.eq(load),
            self.word.ready.eq((word.origin == Origin.AVERAGE) & ~summed & (loaded | ~word.first) & last_slot),
            search.start.eq(summed & ~running.any() & ~searching & ~holding & self.allow),
            self.busy.eq(step | running.any() | searching), search.wanted.eq(self.wanted),
            self.read.eq(search.read), self.offsets.eq(search.offsets), search.thresholds.eq(self.thresholds),
            self.result.eq(search.result),
        ]
        with m.If(load):
            m.d.sync += [loaded.eq(1), term.eq(terms.out.payload)]
        with m.If(step):
            m.d.sync += [slot.eq(Mux(last_slot, 0, slot + 1)), last_slot.eq(slot == self.slots - 2)]
        with m.If(step & last_slot):
            m.d.sync += [loaded.eq(0), fresh.eq(word.last), summed.eq(word.last)]
        with m.If(search.start):
            m.d.sync += searching.eq(1)
        with m.If(search.done):
            m.d.sync += [searching.eq(0), summed.eq(0), holding.eq(1), self.complete.eq(1)]
        with m.If(self.take):
            m.d.sync += self.complete.eq(0)
        with m.If(self.used):
            m.d.sync += holding.eq(0)
        self._lanes(m, moving, slot, fresh, term, search)
        return m

    def _lanes(self, m: Module, moving: list[Value], slot: Value, fresh: Value, term: data.View, search: Search) -> None:
        config, word = self.config, self.word.payload
        tag = data.StructLayout({"group": range(config.groups), "fresh": 1})
        first = Signal(tag)
        m.d.comb += [first.group.eq(slot), first.fresh.eq(fresh)]
        tags = data_line(m, first, moving[:-1])
        adding = tags[AverageLane.ADD_AT]
        bytes_here = data.View(byte_word(config), word.word)
        for lane in range(config.lanes):
            m.submodules[f"lane_{lane}"] = average = AverageLane(config.groups)
            m.d.comb += [
                average.enables.eq(Cat(moving)), average.inside.eq(word.inside), average.term.eq(term),
                average.byte.eq(channel_of(bytes_here, first.group, lane, config)),
                average.fresh.eq(adding.fresh), average.group.eq(adding.group), average.store.eq(tags[-1].group),
                average.asked.eq(search.asked), search.totals[lane].eq(average.total),
            ]
