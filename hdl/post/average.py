"""Average: the ordered float32 sum of the bytes under each window, and its search among the thresholds."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from hdl.post.fetch import gathered_layout
from hdl.post.parameters import ParameterHalf
from hdl.post.records import TERM, Origin, byte_word
from hdl.post.rounding import excess, magnitude, round_to_24_bits
from hdl.post.settings import Settings
from hdl.post.tokens import channel_of
from isa.arithmetic import SIGNIFICANT
from isa.config import Config

TOTAL = 48      # bits of the running sum


class AverageLane(Component):
    """The ordered sums of one lane's channels.

    Members
    -------
    enables : In(LATENCY)
        Bit i: stage i works.
    byte : In(signed(8))
    inside : In(1)
        With ``byte``; without, zero is added.
    term : In(TERM)
    fresh, group : In
        At stage ``ADD_AT``: start from zero; which channel's sum.
    store : In
        At the last stage: which channel's sum.
    totals : Out(48 bits a group)
    """

    ADD_AT = 4
    LOOP = 4        # cycles from one addition to the next of the same channel
    LATENCY = ADD_AT + LOOP

    def __init__(self, groups: int) -> None:
        self.groups = groups
        super().__init__({
            "enables": In(self.LATENCY), "byte": In(signed(8)), "inside": In(1), "term": In(TERM),
            "fresh": In(1), "group": In(range(groups)), "store": In(range(groups)),
            "totals": Out(data.ArrayLayout(signed(TOTAL), groups)),
        })

    def elaborate(self, platform):
        m = Module()
        distance, size = Signal(8, reset_less=True), Signal(8 + SIGNIFICANT, reset_less=True)
        negative = [Signal(name=f"negative_{stage}", reset_less=True) for stage in range(4)]
        difference = self.byte - self.term.source_zero
        with m.If(self.enables[0]):
            m.d.sync += [distance.eq(Mux(self.inside, magnitude(difference), 0)), negative[0].eq(difference[-1])]
        with m.If(self.enables[1]):
            m.d.sync += [size.eq(distance * self.term.multiplier), negative[1].eq(negative[0])]
        term = self._round(m, size, self.enables[2:4], "term")
        for stage in (2, 3):
            with m.If(self.enables[stage]):
                m.d.sync += negative[stage].eq(negative[stage - 1])
        self._accumulate(m, Mux(negative[-1], -term, term))
        return m

    def _accumulate(self, m, term):
        totals = Array(Signal(signed(TOTAL), name=f"total_{group}", reset_less=True) for group in range(self.groups))
        total, size = Signal(signed(TOTAL), reset_less=True), Signal(TOTAL, reset_less=True)
        down, sign = Signal(reset_less=True), Signal(reset_less=True)
        add, absolute, mask, store = (self.enables[self.ADD_AT + stage] for stage in range(self.LOOP))
        with m.If(add):
            m.d.sync += total.eq(Mux(self.fresh, 0, totals[self.group]) + term)
        with m.If(absolute):
            m.d.sync += [size.eq(magnitude(total)), down.eq(total[-1])]
        with m.If(mask):
            m.d.sync += sign.eq(down)
        rounded = self._round(m, size, [mask], "total")
        with m.If(store):
            m.d.sync += totals[self.store].eq(Mux(sign, -rounded, rounded))
        m.d.comb += [self.totals[group].eq(total) for group, total in enumerate(totals)]

    @staticmethod
    def _round(m, size, enables, name):
        """``size`` rounded, with a register after the mask, and after the rounding where there is a second enable."""
        held = Signal.like(size, name=f"{name}_held", reset_less=True)
        mask = Signal(len(size) - SIGNIFICANT, name=f"{name}_mask", reset_less=True)
        odd = Signal(name=f"{name}_odd", reset_less=True)
        with m.If(enables[0]):
            m.d.sync += [held.eq(size), Cat(mask, odd).eq(Cat(excess(m, size)))]
        rounded = round_to_24_bits(held, mask, odd)
        if len(enables) == 1:
            return rounded
        result = Signal.like(size, name=f"{name}_rounded", reset_less=True)
        with m.If(enables[1]):
            m.d.sync += result.eq(rounded)
        return result


class Search(Component):
    """Finds each total's place among 255 ascending thresholds, all lanes and groups side by side.

    Members
    -------
    start : In(1)
        Pulse; the totals stay as they are until ``done``.
    totals : In(48 bits a group, for each lane)
    read : Out(1)
        Read the thresholds at ``offsets``, one a lane.
    thresholds : In(64 bits a lane)
        ``ParameterHalf.LATENCY`` cycles later.
    done : Out(1)
        Pulse; ``result`` holds until the next start.
    result : Out(signed bytes, a word)
    """

    LOOP = ParameterHalf.LATENCY + 1
    BITS = 8

    def __init__(self, config: Config) -> None:
        self.config = config
        self.slots = max(config.groups, self.LOOP)
        lanes = config.lanes
        super().__init__({
            "start": In(1),
            "totals": In(data.ArrayLayout(data.ArrayLayout(signed(TOTAL), config.groups), lanes)),
            "read": Out(1), "offsets": Out(data.ArrayLayout(self.BITS, lanes)),
            "thresholds": In(data.ArrayLayout(signed(64), lanes)), "done": Out(1),
            "result": Out(byte_word(config)),
        })

    def elaborate(self, platform):
        m = Module()
        groups, latency = self.config.groups, ParameterHalf.LATENCY
        busy, slot, bit = Signal(), Signal(range(self.slots)), Signal(self.BITS, reset_less=True)
        with m.If(self.start):
            m.d.sync += [busy.eq(1), slot.eq(0), bit.eq(1 << self.BITS - 1)]
        with m.Elif(busy):
            m.d.sync += slot.eq(Mux(slot == self.slots - 1, 0, slot + 1))
            with m.If(slot == self.slots - 1):
                m.d.sync += [bit.eq(bit >> 1), busy.eq(~bit[0])]
        m.d.comb += self.read.eq(busy & (slot < groups))
        probe = data.StructLayout({"group": range(groups), "bit": self.BITS, "last": 1})
        valid, first = Signal(latency), Signal(probe)
        m.d.sync += valid.eq(Cat(self.read, valid))
        m.d.comb += [first.group.eq(slot), first.bit.eq(bit), first.last.eq(bit[0] & (slot == groups - 1))]
        moving, now = self.read, first
        for stage in range(latency):
            held = Signal(probe, name=f"probe_{stage}", reset_less=True)
            with m.If(moving):
                m.d.sync += held.eq(now)
            moving, now = valid[stage], held
        m.d.sync += self.done.eq(moving & now.last)
        for lane in range(self.config.lanes):
            self._lane(m, lane, first, now, moving)
        return m

    def _lane(self, m, lane, asked, answered, compare):
        found = Array(Signal(self.BITS, name=f"found_{lane}_{group}", reset_less=True)
                      for group in range(self.config.groups))
        totals = Array(self.totals[lane][group] for group in range(self.config.groups))
        first = asked.bit[-1]
        m.d.comb += self.offsets[lane].eq(Mux(first, 0, found[asked.group]) | asked.bit)
        reached = totals[answered.group] >= self.thresholds[lane]
        before = Mux(answered.bit[-1], 0, found[answered.group])
        with m.If(compare):
            m.d.sync += found[answered.group].eq(before | Mux(reached, answered.bit, 0))
        for group in range(self.config.groups):
            value = found[group]
            m.d.comb += self.result[group * self.config.lanes + lane].eq(Cat(value[:-1], ~value[-1]))


class Average(Component):
    """Sums tap after tap, group after group; then searches; sums the next window while the result is used.

    Members
    -------
    word : In(stream of gathered words)
        Those of other instructions are not taken.
    push, record : In
        As in ``Settings``.
    allow : In(1)
        The instruction's thresholds are at the head of the parameter FIFO and nothing else reads it.
    complete, take, used : as in ``Total``
    busy : Out(1)
        Sums or searches.
    read, offsets, thresholds : as in ``Search``
    result : Out(signed bytes, a word)
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.slots = max(config.groups, AverageLane.LOOP)
        lanes = config.lanes
        super().__init__({
            "word": In(stream.Signature(gathered_layout(config))), "push": In(1), "record": In(TERM), "allow": In(1),
            "complete": Out(1), "take": In(1), "used": In(1), "busy": Out(1),
            "read": Out(1), "offsets": Out(data.ArrayLayout(Search.BITS, lanes)),
            "thresholds": In(data.ArrayLayout(signed(64), lanes)), "result": Out(byte_word(config)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.settings = settings = Settings(TERM)
        m.submodules.search = search = Search(self.config)
        word = self.word.payload
        here = self.word.valid & (word.origin == Origin.AVERAGE)
        step, slot, summed = Signal(), Signal(range(self.slots)), Signal()
        loaded, searching, holding, fresh = Signal(), Signal(), Signal(), Signal(init=1)
        running = Signal(AverageLane.LATENCY - 1)
        # The constants of an instruction's first window are loaded in a cycle of their own.
        m.d.comb += [
            step.eq(here & ~summed & (loaded | ~word.first)),
            settings.push.eq(self.push), settings.record.eq(self.record),
            settings.load.eq(here & ~summed & word.first & ~loaded & ~running.any()),
            self.word.ready.eq(step & (slot == self.slots - 1)),
            search.start.eq(summed & ~running.any() & ~searching & ~holding & self.allow),
            self.busy.eq(step | running.any() | searching),
            self.read.eq(search.read), self.offsets.eq(search.offsets), search.thresholds.eq(self.thresholds),
            self.result.eq(search.result),
        ]
        with m.If(settings.load):
            m.d.sync += loaded.eq(1)
        with m.If(step):
            m.d.sync += slot.eq(Mux(self.word.ready, 0, slot + 1))
        with m.If(self.word.ready):
            m.d.sync += [loaded.eq(0), fresh.eq(word.last), summed.eq(word.last)]
        with m.If(search.start):
            m.d.sync += searching.eq(1)
        with m.If(search.done):
            m.d.sync += [searching.eq(0), summed.eq(0), holding.eq(1), self.complete.eq(1)]
        with m.If(self.take):
            m.d.sync += self.complete.eq(0)
        with m.If(self.used):
            m.d.sync += holding.eq(0)
        self._lanes(m, step & (slot < self.config.groups), slot, fresh, running, settings.value, search)
        return m

    def _lanes(self, m, enter, slot, fresh, running, term, search):
        config, word = self.config, self.word.payload
        tag = data.StructLayout({"group": range(config.groups), "fresh": 1})
        first = Signal(tag)
        m.d.comb += [first.group.eq(slot), first.fresh.eq(fresh)]
        m.d.sync += running.eq(Cat(enter, running))
        tags, moving = [first], enter
        for stage in range(len(running)):
            held = Signal(tag, name=f"tag_{stage}", reset_less=True)
            with m.If(moving):
                m.d.sync += held.eq(tags[-1])
            tags.append(held)
            moving = running[stage]
        adding = tags[AverageLane.ADD_AT]
        bytes_here = data.View(byte_word(config), word.word)
        for lane in range(config.lanes):
            m.submodules[f"lane_{lane}"] = average = AverageLane(config.groups)
            m.d.comb += [
                average.enables.eq(Cat(enter, running)), average.byte.eq(channel_of(bytes_here, first.group, lane, config)),
                average.inside.eq(word.inside), average.term.eq(term),
                average.fresh.eq(adding.fresh), average.group.eq(adding.group),
                average.store.eq(tags[-1].group), search.totals[lane].eq(average.totals),
            ]
