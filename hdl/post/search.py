"""Search: finds the position of each total among 255 ascending thresholds, for all lanes and groups in parallel."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import exact_log2

from arrayloom.hdl.pipeline import data_line, data_register, delay, flag_line
from arrayloom.hdl.post.parameters import ParameterHalf
from arrayloom.hdl.post.records import TOTAL
from arrayloom.isa.config import Config
from arrayloom.isa.instructions import THRESHOLDS


class Search(Component):
    """``arrayloom.isa.arithmetic.average_result``: a binary search, one bit of the position at a time from the highest.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        A pulse; the totals must stay constant until ``done``.
    asked : Out(range(groups))
        The group whose totals are needed.
    totals : In(ArrayLayout(TOTAL, lanes))
        Its totals, in the same cycle; they are compared in the next.
    read : Out(1)
        Read the thresholds at ``offsets``.
    offsets : Out(ArrayLayout(BITS, lanes))
        One for each lane.
    thresholds : In(ArrayLayout(signed(64), lanes))
        ``ParameterHalf.LATENCY`` cycles later.
    done : Out(1)
        A pulse; the result holds until the next start.
    wanted : In(range(groups))
        A group.
    result : Out(ArrayLayout(signed(8), lanes))
        Its places, minus 128.
    """

    ASK = 1         # cycles to determine which threshold to read
    COMPARE = 1
    LOOP = ASK + ParameterHalf.LATENCY + COMPARE
    BITS = exact_log2(THRESHOLDS)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.slots = max(config.groups, self.LOOP)
        lanes, group = config.lanes, range(config.groups)
        super().__init__({
            "start": In(1), "asked": Out(group), "totals": In(data.ArrayLayout(TOTAL, lanes)),
            "read": Out(1), "offsets": Out(data.ArrayLayout(self.BITS, lanes)),
            "thresholds": In(data.ArrayLayout(signed(64), lanes)), "done": Out(1),
            "wanted": In(group), "result": Out(data.ArrayLayout(signed(8), lanes)),
        })
        self.probe = data.StructLayout({"group": group, "bit": self.BITS, "last": 1})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        asks, first = self._ask(m)
        enables = flag_line(m, asks, self.LOOP - self.COMPARE, "enables")
        *_, asked, answered = data_line(m, first, enables[:-1], "probe")
        compare = enables[-1]
        m.d.comb += [self.read.eq(enables[1]), self.asked.eq(asked.group)]
        m.d.sync += self.done.eq(compare & answered.last)
        for lane in range(self.config.lanes):
            total = data_register(m, self.totals[lane], enables[-2], f"total_{lane}")
            self._lane(m, lane, (asks, first), (compare, answered), total)
        return m

    def _ask(self, m: Module) -> tuple[Value, data.View]:
        """Iterates over bits and groups: whether a group is requested now, and which."""
        groups = self.config.groups
        busy, slot, bit = Signal(name="busy"), Signal(range(self.slots)), Signal(self.BITS, reset_less=True, name="bit")
        final = slot == self.slots - 1
        with m.If(self.start):
            m.d.sync += [busy.eq(1), slot.eq(0), bit.eq(1 << self.BITS - 1)]
        with m.Elif(busy):
            m.d.sync += slot.eq(Mux(final, 0, slot + 1))
            with m.If(final):
                m.d.sync += [bit.eq(bit >> 1), busy.eq(~bit[0])]
        probe = Signal(self.probe)
        m.d.comb += [probe.group.eq(slot), probe.bit.eq(bit), probe.last.eq(bit[0] & (slot == groups - 1))]
        return busy & (slot < groups), probe

    def _lane(self, m: Module, lane: int, ask: tuple[Value, data.View], answer: tuple[Value, data.View],
              total: Value) -> None:
        (asks, asked), (compare, answered) = ask, answer
        m.submodules[f"found_{lane}"] = found = memory.Memory(
            shape=self.BITS, depth=max(self.config.groups, 2), init=[])
        place, answered_place, show = (found.read_port(domain="comb") for _ in range(3))
        write = found.write_port()
        offset = delay(m, Mux(asked.bit[-1], 0, place.data) | asked.bit, [asks], f"offset_{lane}")
        reached = Mux(total >= self.thresholds[lane], answered.bit, 0)
        m.d.comb += [
            place.addr.eq(asked.group), self.offsets[lane].eq(offset),
            answered_place.addr.eq(answered.group), write.addr.eq(answered.group), write.en.eq(compare),
            write.data.eq(Mux(answered.bit[-1], 0, answered_place.data) | reached),
            show.addr.eq(self.wanted), self.result[lane].eq(Cat(show.data[:-1], ~show.data[-1])),
        ]
