"""The systolic array: a grid of processing blocks, skewed activations and a weight bus."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.hdl.array.block import SUM, WEIGHT, ProcessingBlock, byte_of
from arrayloom.hdl.array.timing import ACTIVATION, MULTIPLY, Timing
from arrayloom.hdl.pipeline import data_register, delay, flag_line
from arrayloom.isa.config import Config


class SystolicArray(Component):
    """``size`` x ``size`` multipliers; row r takes byte r of an activation word, column c byte c of a weight row.

    Row stage k receives a word k cycles late, column group g another g cycles later, like the weights of group g. The
    sums of group g follow ``Timing.sums + g`` cycles after the word.

    Parameters
    ----------
    config : Config
        ``size``, ``row_stage`` and ``column_stage`` shape the grid of blocks.

    Members
    -------
    valid : In(1)
        ``word`` enters.
    start : In(1)
        With ``valid``: the shadow weights become the active ones.
    word : In(ArrayLayout(BYTE, size))
        Activations, one for each row.
    write : In(1)
        ``weights`` is a row for the shadow plane.
    row : In(range(size))
        Which row.
    weights : In(ArrayLayout(WEIGHT, size))
        One for each column.
    sums : Out(ArrayLayout(SUM, size))
        One for each column.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__({
            "valid": In(1),
            "start": In(1),
            "word": In(data.ArrayLayout(byte_of(config), config.size)),
            "write": In(1),
            "row": In(range(config.size)),
            "weights": In(data.ArrayLayout(WEIGHT, config.size)),
            "sums": Out(data.ArrayLayout(SUM, config.size)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        timing = Timing(self.config)
        skew = timing.row_stages - 1 + timing.column_groups - 1
        valid = flag_line(m, self.valid, skew + ACTIVATION + MULTIPLY, "valid_line")
        start = flag_line(m, self.start, skew, "start_line")
        loads = self._weight_bus(m, timing)
        above: list[Value] = [Const(0, SUM)] * self.config.size
        for stage in range(timing.row_stages):
            above = self._row_stage(m, stage, above, (valid, start), loads)
        m.d.comb += [self.sums[column].eq(value) for column, value in enumerate(above)]
        return m

    def _weight_bus(self, m: Module, timing: Timing) -> list[tuple[Value, list[Value]]]:
        """Row enables and weights of each column group, a cycle later for each."""
        enables = Signal(self.config.size)
        m.d.comb += enables.eq(self.write << self.row)
        groups, columns = timing.column_groups, self.config.column_stage
        writes = flag_line(m, self.write, groups - 1, "write_line")
        weights = [self.weights[column] for column in range(self.config.size)]
        result = []
        for group in range(groups):
            if group:
                late = Signal.like(enables, name=f"enables_{group}")
                m.d.sync += late.eq(enables)
                enables = late
                weights = [data_register(m, weight, writes[group - 1], f"weight_{group}_{column}")
                           for column, weight in enumerate(weights[columns:], group * columns)]
            result.append((enables, weights[:columns]))
        return result

    def _row_stage(self, m: Module, stage: int, above: list[Value],
                   flags: tuple[list[Value], list[Value]], loads: list[tuple[Value, list[Value]]]) -> list[Value]:
        """One row of blocks; returns their sums, a column each."""
        rows, columns = self.config.row_stage, self.config.column_stage
        valid, start = flags
        # One register per byte. In the simulator, 32-bit registers would share a group of loads with the blocks'
        # values, and g++ does not vectorize a group of such distant loads.
        entering = [delay(m, self.word[row], valid[:stage], f"entering_{row:03}")
                    for row in range(stage * rows, (stage + 1) * rows)]
        sums = []
        for group, (enables, weights) in enumerate(loads):
            # The names sort like the numbers; a simulator uses this order for its memory layout.
            m.submodules[f"block_{stage:02}_{group:02}"] = block = ProcessingBlock(self.config)
            late = stage + group
            m.d.comb += [
                block.valid.eq(valid[late]), block.start.eq(start[late]),
                block.multiply.eq(valid[late + ACTIVATION]),
                block.add.eq(valid[late + ACTIVATION + MULTIPLY]),
                block.activations.as_value().eq(Cat(entering)),
                block.load.eq(enables[stage * rows:(stage + 1) * rows]),
            ]
            for column in range(columns):
                m.d.comb += block.sums_in[column].eq(above[group * columns + column])
                m.d.comb += block.weights[column].eq(weights[column])
                sums.append(block.sums[column])
            entering = [block.activations_out[row] for row in range(rows)]
        return sums
