"""The processing block: one row stage of one column group."""

from typing import Any

from amaranth.hdl import Module, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from arrayloom.isa.config import Config

SUM = signed(32)        # for any number of products; wraps like the emulator's
PRODUCT = WEIGHT = signed(32)   # a processor's word, so a simulator needs no masks or extensions; synthesis narrows it


def byte_of(config: Config) -> Shape:
    """The shape of an activation: a byte, or one less a zero point."""
    return signed(config.operand_bits)


class ProcessingBlock(Component):
    """``row_stage`` x ``column_stage`` multipliers, each with an active and a shadow weight.

    Parameters
    ----------
    config : Config
        ``row_stage`` and ``column_stage`` size the block.

    Members
    -------
    valid : In(1)
        Activations enter.
    start : In(1)
        With ``valid``: the shadow weights become the active ones.
    activations : In(ArrayLayout(BYTE, row_stage))
        One for each row.
    activations_out : Out(ArrayLayout(BYTE, row_stage))
        The activations of the last cycle with ``valid``, for the next column group.
    multiply : In(1)
        ``valid``, ``ACTIVATION`` cycles later.
    add : In(1)
        ``multiply``, ``MULTIPLY`` cycles later: the products are added to ``sums_in``.
    sums_in : In(ArrayLayout(SUM, column_stage))
        The sums of the row stage above.
    sums : Out(ArrayLayout(SUM, column_stage))
        The sums of the last cycle with ``add``.
    load : In(row_stage)
        Rows of the shadow plane that load ``weights``.
    weights : In(ArrayLayout(WEIGHT, column_stage))
        One for each column.
    """

    def __init__(self, config: Config) -> None:
        self._rows, self._columns = config.row_stage, config.column_stage
        self._byte = byte_of(config)
        activations = data.ArrayLayout(self._byte, self._rows)
        sums = data.ArrayLayout(SUM, self._columns)
        super().__init__({
            "valid": In(1),
            "start": In(1),
            "activations": In(activations),
            "activations_out": Out(activations),
            "multiply": In(1),
            "add": In(1),
            "sums_in": In(sums),
            "sums": Out(sums),
            "load": In(self._rows),
            "weights": In(data.ArrayLayout(WEIGHT, self._columns)),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        activations = [Signal(self._byte, name=f"activation_{row:03}", reset_less=True) for row in range(self._rows)]
        with m.If(self.valid):
            m.d.sync += [activation.eq(self.activations[row]) for row, activation in enumerate(activations)]
        m.d.comb += [self.activations_out[row].eq(activation) for row, activation in enumerate(activations)]
        swap = Signal()
        m.d.comb += swap.eq(self.valid & self.start)
        weights, products = self._weights(m, swap), self._plane("product", PRODUCT)
        with m.If(self.multiply):
            for row, activation in enumerate(activations):
                m.d.sync += [product.eq(activation * weights[row][column])
                             for column, product in enumerate(products[row])]
        for column in range(self._columns):
            result = Signal(SUM, name=f"sum_{column:03}", reset_less=True)
            with m.If(self.add):
                m.d.sync += result.eq(sum((row[column] for row in products), self.sums_in[column]))
            m.d.comb += self.sums[column].eq(result)
        return m

    def _weights(self, m: Module, swap: Value) -> list[list[Signal]]:
        """The active plane by row and column; each weight comes from the shadow plane."""
        shadow, active = (self._plane(name, WEIGHT) for name in ("shadow", "weight"))
        for row in range(self._rows):
            with m.If(self.load[row]):
                m.d.sync += [weight.eq(self.weights[column]) for column, weight in enumerate(shadow[row])]
            with m.If(swap):
                m.d.sync += [weight.eq(value) for weight, value in zip(active[row], shadow[row], strict=True)]
        return active

    def _plane(self, name: str, shape: ShapeLike) -> list[list[Signal]]:
        """One register per multiplier. A simulator stores them in the order of names, so operations on a row become vector
        code."""
        return [[Signal(shape, name=f"row_{row:03}_{name}_{column:03}", reset_less=True) for column in range(self._columns)]
                for row in range(self._rows)]
