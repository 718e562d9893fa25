"""Ranges of float values of a quantized model: which are possible, which matter, and which are observed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, MAXIMA, is_interpolation, moves
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import Quantization, known_quantization
from arrayloom.compiler.frontend.rewriting.pictures import observe

#: So much wider than observed the ranges are made: what saturates costs more than coarser steps do.
MARGIN = 1.15

_AVERAGES = ("AveragePool", "GlobalAveragePool", "ReduceMean")


@dataclass(frozen=True)
class Range:
    """The reals from `low` to `high`."""

    low: float = -np.inf
    high: float = np.inf

    def within(self, other: "Range") -> "Range":
        """What both have in common."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    def joined(self, other: "Range") -> "Range":
        """The smallest range around both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def clamped(self, low: float, high: float) -> "Range":
        """The range of what a Clip makes of it."""
        return Range(min(max(self.low, low), high), min(max(self.high, low), high))


class Ranges:
    """The ranges of one model's values: a range that no element leaves, and one outside of which elements have the effect
    of the nearest bound, since everything after it saturates."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._possible: dict[str, Range] = {}
        self._useful: dict[str, Range] = {}
        for node in model.nodes:
            possible = self._possible_of(node)
            self._possible.update((value, possible) for value in node.output)
        for node in reversed(model.nodes):
            self._useful.update((value, self._useful_of(value)) for value in node.output)

    def of(self, values: Sequence[str]) -> dict[str, Range]:
        """For each value the range to quantize: what is observed and a margin, as far as it is possible and matters."""
        found = {}
        for value, (low, high) in observe(self._model, values).items():
            observed = Range(low * MARGIN, high * MARGIN)
            narrowed = observed.within(self._possible[value]).within(self._useful[value])
            found[value] = narrowed if narrowed.low < narrowed.high else observed
        return found

    def _possible_of(self, node: onnx.NodeProto) -> Range:
        """The range of a node's result, from the quantizations that it is computed of."""
        if self._model.is_constant(node.output[0]):
            return Range()
        if node.op_type == "DequantizeLinear":
            return _representable(self._model, node)
        operands = [self._operand(name) for name in node.input]
        if node.op_type in (*MAXIMA, *_AVERAGES) or moves(node) or is_interpolation(node):
            return operands[0].joined(Range(0, 0)) if node.op_type in ("Pad", *_AVERAGES) else operands[0]
        if node.op_type in ACTIVATIONS:
            return operands[0].clamped(*bounds_of(self._model, node))
        if node.op_type == "Add":
            return Range(operands[0].low + operands[1].low, operands[0].high + operands[1].high)
        if node.op_type == "Concat":
            return Range(min(r.low for r in operands), max(r.high for r in operands))
        return Range()

    def _operand(self, value: str) -> Range:
        """The possible range of an operand, of a constant its own."""
        constant = self._model.constants.get(value)
        if constant is not None and constant.size and constant.dtype.kind in "fiu":
            return Range(float(constant.min()), float(constant.max()))
        return self._possible.get(value, Range())

    def _useful_of(self, value: str) -> Range:
        if value in self._model.outputs:
            return Range()
        ranges = [self._useful_to(reader, value) for reader in self._model.consumers.get(value, [])]
        return Range(min(r.low for r in ranges), max(r.high for r in ranges)) if ranges else Range()

    def _useful_to(self, reader: onnx.NodeProto, value: str) -> Range:
        if reader.op_type == "QuantizeLinear":
            return _representable(self._model, reader)
        behind = self._useful.get(reader.output[0], Range())
        if reader.op_type in MAXIMA or moves(reader):
            return behind
        if reader.op_type in ACTIVATIONS:
            return behind.clamped(*bounds_of(self._model, reader))
        if reader.op_type == "Add" and list(reader.input).count(value) == 1:
            other = self._operand(next(name for name in reader.input if name != value))
            return Range(behind.low - other.high, behind.high - other.low)
        return Range()


def _representable(model: Model, node: onnx.NodeProto) -> Range:
    """The reals between the lowest and the highest byte of a QuantizeLinear or DequantizeLinear."""
    quantization = known_quantization(model, node)
    return Range() if quantization is None else Range(*quantization.bounds)


def quantization_of(found: Range, dtype: np.dtype) -> Quantization:
    """The quantization of `dtype` whose 256 steps cover a range and 0, which it represents exactly."""
    info = np.iinfo(dtype)
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    scale = np.float32((high - low) / (info.max - info.min)) or np.float32(1)
    zero = int(np.clip(np.rint(info.min - low / float(scale)), info.min, info.max))
    return Quantization(scale, zero, dtype)
