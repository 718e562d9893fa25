"""The weight loader: fills the shadow plane with the next tile while the array computes."""

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.array.block import WEIGHT
from arrayloom.hdl.array.timing import LOAD, Timing
from arrayloom.hdl.pipeline import delay, flag_line
from arrayloom.hdl.weight_fifo import WEIGHT_LATENCY, weight_read_signature
from arrayloom.isa.config import Config


class WeightLoader(Component):
    """Takes a tile from the weight FIFO, one row in each cycle, as soon as the shadow plane is free.

    Parameters
    ----------
    config : Config
        ``size`` rows of ``size`` weights are a tile.

    Members
    -------
    weights : Out(weight_read_signature(config))
        The reading end of the weight FIFO.
    ready : Out(1)
        The tile is loaded far enough for the next step to be taken.
    taken : In(1)
        A pulse: the step is taken.
    holds : Out(1)
        A tile has left the FIFO, at least in part, but no step has taken it.
    write : Out(1)
        ``word`` is for the shadow plane.
    row : Out(range(size))
        The row of the shadow plane.
    word : Out(ArrayLayout(WEIGHT, size))
        A row of weights.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "weights": Out(weight_read_signature(config)),
            "ready": Out(1),
            "taken": In(1),
            "holds": Out(1),
            "write": Out(1),
            "row": Out(range(config.size)),
            "word": Out(data.ArrayLayout(WEIGHT, config.size)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        timing = Timing(self.config)
        row = Signal(range(self.config.size), name="reading")
        shadow_free = Signal(init=1)
        begin, enable = Signal(), Signal()
        m.d.comb += [
            begin.eq(self.weights.available & shadow_free & (row == 0)),
            enable.eq(begin | (row != 0)),
            self.weights.claim.eq(begin),
            self.weights.enable.eq(enable),
            self.holds.eq(self.ready | (row != 0)),
        ]
        with m.If(enable):
            m.d.sync += row.eq(row + 1)
        with m.If(enable & (row == timing.ready - 1)):
            m.d.sync += self.ready.eq(1)
        with m.Elif(self.taken):
            m.d.sync += self.ready.eq(0)
        taken = flag_line(m, self.taken, timing.reload - 1, "taken_line")
        with m.If(begin):
            m.d.sync += shadow_free.eq(0)
        with m.Elif(taken[-1]):
            m.d.sync += shadow_free.eq(1)
        self._pass_on(m, enable, row)
        return m

    def _pass_on(self, m: Module, enable: Value, row: Value) -> None:
        """Row and word to the shadow plane, ``LOAD`` cycles after the read."""
        enables = flag_line(m, enable, LOAD, "enable_line")
        for column in range(self.config.size):
            weight = Signal(WEIGHT, name=f"read_{column:03}")
            m.d.comb += weight.eq(self.weights.data.word_select(column, self.config.operand_bits).as_signed())
            m.d.comb += self.word[column].eq(delay(m, weight, enables[WEIGHT_LATENCY:LOAD], f"weight_{column:03}"))
        m.d.comb += [
            self.write.eq(enables[-1]),
            self.row.eq(delay(m, row, enables[:-1], "read_row")),
        ]
