"""Ranges of float values of a quantized model: possible, useful and observed ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, MAXIMA, is_interpolation, moves
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import Quantization, known_quantization
from arrayloom.compiler.frontend.rewriting.pictures import observe

#: Factor by which observed ranges are widened, as saturation is worse than coarser steps.
MARGIN = 1.15

_AVERAGES = ("AveragePool", "GlobalAveragePool", "ReduceMean")


@dataclass(frozen=True)
class Range:
    """The real numbers from `low` to `high`."""

    low: float = -np.inf
    high: float = np.inf

    def within(self, other: "Range") -> "Range":
        """Returns the intersection of both ranges."""
        return Range(max(self.low, other.low), min(self.high, other.high))

    def joined(self, other: "Range") -> "Range":
        """Returns the smallest range that contains both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def clamped(self, low: float, high: float) -> "Range":
        """Returns the range after a Clip."""
        return Range(min(max(self.low, low), high), min(max(self.high, low), high))


class Ranges:
    """The ranges of a model's values.

    The possible range contains every element. Elements outside the useful range have the same effect as its nearest bound,
    since everything after them saturates.
    """

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
        """Returns the range to quantize for each value: the possible and useful part of the observed one and a margin."""
        found = {}
        for value, (low, high) in observe(self._model, values).items():
            observed = Range(low * MARGIN, high * MARGIN)
            narrowed = observed.within(self._possible[value]).within(self._useful[value])
            found[value] = narrowed if narrowed.low < narrowed.high else observed
        return found

    def _possible_of(self, node: onnx.NodeProto) -> Range:
        """Returns the possible range of a node's result, which follows from the quantizations of its operands."""
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
        """Returns the possible range of an operand, or the range of a constant."""
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
    """Returns the range from the lowest to the highest byte of a QuantizeLinear or DequantizeLinear."""
    quantization = known_quantization(model, node)
    return Range() if quantization is None else Range(*quantization.bounds)


def quantization_of(found: Range, dtype: np.dtype) -> Quantization:
    """Returns the quantization of `dtype` whose 256 steps cover a range and 0, which is represented exactly."""
    info = np.iinfo(dtype)
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    scale = np.float32((high - low) / (info.max - info.min)) or np.float32(1)
    zero = int(np.clip(np.rint(info.min - low / float(scale)), info.min, info.max))
    return Quantization(scale, zero, dtype)
