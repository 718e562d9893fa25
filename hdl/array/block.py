"""The processing block: one row stage of one column group."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.array.registers import data_register
from isa.config import Config

WEIGHT = signed(8)
ACTIVATION = signed(8)
SUM = signed(32)        # synthesis narrows the upper rows' registers; a simulator need not mask exact words


class ProcessingBlock(wiring.Component):
    """``row_stage`` x ``column_stage`` multipliers, each with an active and a shadow weight.

    Members: ``activations`` with ``valid``, and ``start`` when the shadow weights become active with it; ``multiply``,
    one cycle later, when ``sums_in`` are to be added; ``load``: which rows of the shadow plane take ``weights``.
    ``activations_out``: the activations of the last valid cycle; ``sums``: the sums of the last ``multiply``.
    """

    def __init__(self, config: Config):
        self._rows, self._columns = config.row_stage, config.column_stage
        activations = data.ArrayLayout(ACTIVATION, self._rows)
        sums = data.ArrayLayout(SUM, self._columns)
        super().__init__({
            "valid": In(1),
            "start": In(1),
            "activations": In(activations),
            "activations_out": Out(activations),
            "multiply": In(1),
            "sums_in": In(sums),
            "sums": Out(sums),
            "load": In(self._rows),
            "weights": In(data.ArrayLayout(WEIGHT, self._columns)),
        })

    def elaborate(self, platform):
        m = Module()
        activations = [data_register(m, self.activations[row], self.valid) for row in range(self._rows)]
        m.d.comb += [self.activations_out[row].eq(activations[row]) for row in range(self._rows)]
        swap = Signal()
        m.d.comb += swap.eq(self.valid & self.start)
        for column in range(self._columns):
            total = self.sums_in[column]
            for row in range(self._rows):
                shadow = data_register(m, self.weights[column], self.load[row])
                active = data_register(m, shadow, swap)
                total = total + activations[row] * active
            result = Signal(SUM, reset_less=True)
            with m.If(self.multiply):
                m.d.sync += result.eq(total)
            m.d.comb += self.sums[column].eq(result)
        return m
