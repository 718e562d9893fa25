"""The accumulators: two banks of block RAM per column, one filling while the other drains."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from arrayloom.hdl.array.block import SUM
from arrayloom.hdl.array.signatures import PIXEL
from arrayloom.hdl.array.timing import ACCUMULATE, SUM_HELD, SUM_READ, UPDATE
from arrayloom.hdl.interfaces import MEMORY_LATENCY
from arrayloom.hdl.pipeline import data_line, data_register, delay, flag_line
from arrayloom.isa.config import ACCUMULATOR_BANKS, Config


class AccumulatorGroup(Component):
    """The banks of the columns of one column group.

    Pixels come in raster order; the n-th since ``start`` adds to the n-th sum, or replaces it when ``fresh``. Two steps must
    begin at least ``UPDATE`` cycles apart, which the weight loader ensures.

    Parameters
    ----------
    config : Config
        ``column_stage`` columns are in a group, ``accumulator_depth`` sums of each in a bank.
    gaps : bool
        Whether the pixels of a step may have gaps between them.

    Members
    -------
    pixel : In(PIXEL)
        The pixel whose sums come ``SUM_READ + SUM_HELD`` cycles later.
    sums : In(ArrayLayout(SUM, column_stage))
        Its sums from the systolic array.
    position : Out(range(accumulator_depth))
        With ``pixel``: its number in the bank.
    written : Out(1)
        A pulse: the sum of a ``done`` pixel, the last of a bank, is being written.
    enable : In(1)
        Read the sums at ``address`` of ``bank``, a bank that is not being filled.
    bank : In(1)
        The bank to read.
    address : In(range(accumulator_depth))
        The pixel to read.
    data : Out(ArrayLayout(SUM, column_stage))
        The read sums, ``MEMORY_LATENCY`` cycles after ``enable``.
    """

    def __init__(self, config: Config, gaps: bool = False) -> None:
        self.config, self.gaps = config, gaps
        self._sums = data.ArrayLayout(SUM, config.column_stage)
        super().__init__({
            "pixel": In(PIXEL),
            "sums": In(self._sums),
            "position": Out(ceil_log2(config.accumulator_depth)),
            "written": Out(1),
            "enable": In(1),
            "bank": In(1),
            "address": In(ceil_log2(config.accumulator_depth)),
            "data": Out(self._sums),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bank = Signal()
        with m.If(self.pixel.valid & self.pixel.done):
            m.d.sync += bank.eq(~bank)
        index = self._index(m)
        valid = flag_line(m, self.pixel.valid, SUM_READ + SUM_HELD + ACCUMULATE)
        indices, banks = (data_line(m, value, valid[:-1]) for value in (index, bank))
        fresh = delay(m, self.pixel.fresh, valid[:SUM_READ + SUM_HELD])
        enable = flag_line(m, self.enable, MEMORY_LATENCY - 1)
        _, asked_bank, *_, drained_bank = data_line(m, self.bank, enable)
        address = data_register(m, self.address, self.enable)
        totals = Signal(self._sums, reset_less=True)
        words = []
        for which in range(ACCUMULATOR_BANKS):
            memory = Memory(shape=self._sums, depth=self.config.accumulator_depth, init=[])
            m.submodules[f"bank_{which}"] = memory
            read, write = memory.read_port(), memory.write_port()
            fills = self.pixel.valid & (bank == which)
            m.d.comb += [
                read.en.eq((fills & ~self.pixel.fresh) | (enable[1] & (asked_bank == which))),
                read.addr.eq(Mux(fills, index, address)),
                write.en.eq(valid[-1] & (banks[-1] == which)),
                write.addr.eq(indices[-1]),
                write.data.eq(totals),
            ]
            # the output register of a block RAM, which is slow without it
            arrives = flag_line(m, read.en, SUM_READ, f"arrives_{which}")[-1]
            words.append(data_register(m, read.data, arrives, f"word_{which}"))
        before = Signal(self._sums)
        held = SUM_READ + SUM_HELD
        m.d.comb += before.as_value().eq(Mux(fresh, 0, Mux(banks[held], words[1].as_value(), words[0].as_value())))
        with m.If(valid[held]):
            for column in range(self.config.column_stage):
                m.d.sync += totals[column].eq(self.sums[column] + before[column])
        drained = Mux(drained_bank, words[1].as_value(), words[0].as_value())
        done = flag_line(m, self.pixel.valid & self.pixel.done, UPDATE - 1)
        m.d.comb += [self.data.as_value().eq(drained), self.position.eq(index), self.written.eq(done[-1])]
        return m

    def _index(self, m: Module) -> Signal:
        count = Signal(range(self.config.accumulator_depth), reset_less=True)
        index = Signal.like(count)
        m.d.comb += index.eq(Mux(self.pixel.start, 0, count))
        # Zero between steps, so that states which differ in nothing else are equal.
        if self.gaps:
            with m.If(self.pixel.valid):
                m.d.sync += count.eq(Mux(self.pixel.done, 0, index + 1))
        else:
            m.d.sync += count.eq(Mux(self.pixel.valid, index + 1, 0))
        return index
