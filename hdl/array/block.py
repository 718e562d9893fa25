"""The processing block: one row stage of one column group."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from isa.config import Config

ACTIVATION = signed(8)
WEIGHT = signed(32)     # a byte and copies of its sign, which synthesis drops
SUM = signed(32)        # both as wide as a processor's word: a simulator then neither masks nor extends them


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
        activations = [Signal(ACTIVATION, name=f"activation_{row:03}", reset_less=True) for row in range(self._rows)]
        with m.If(self.valid):
            m.d.sync += [activation.eq(self.activations[row]) for row, activation in enumerate(activations)]
        m.d.comb += [self.activations_out[row].eq(activation) for row, activation in enumerate(activations)]
        swap = Signal()
        m.d.comb += swap.eq(self.valid & self.start)
        weights = self._weights(m, swap)
        for column in range(self._columns):
            products = [activation * weights[row][column] for row, activation in enumerate(activations)]
            result = Signal(SUM, name=f"sum_{column:03}", reset_less=True)
            with m.If(self.multiply):
                m.d.sync += result.eq(sum(products, self.sums_in[column]))
            m.d.comb += self.sums[column].eq(result)
        return m

    def _weights(self, m, swap):
        """The active plane by row and column, with the shadow plane behind it."""
        shadow, active = (self._plane(name) for name in ("shadow", "weight"))
        for row in range(self._rows):
            with m.If(self.load[row]):
                m.d.sync += [weight.eq(self.weights[column]) for column, weight in enumerate(shadow[row])]
            with m.If(swap):
                m.d.sync += [weight.eq(value) for weight, value in zip(active[row], shadow[row], strict=True)]
        return active

    def _plane(self, name):
        return [[Signal(WEIGHT, name=f"{name}_{row:03}_{column:03}", reset_less=True) for column in range(self._columns)]
                for row in range(self._rows)]
