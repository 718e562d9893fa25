"""Ranges of float values of a quantized model: which are possible, which matter, and which are observed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.interpolation import is_interpolation
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.rewriting.float_values import MAXIMA, moves
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
    """The ranges of one model's values."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def of(self, values: Sequence[str]) -> dict[str, Range]:
        """For each value the range to quantize: what is observed and a margin, as far as it is possible and matters."""
        found = {}
        for value, (low, high) in observe(self._model, values).items():
            observed = Range(low * MARGIN, high * MARGIN)
            narrowed = observed.within(self.possible(value)).within(self.useful(value))
            found[value] = narrowed if narrowed.low < narrowed.high else observed
        return found

    def possible(self, value: str) -> Range:
        """A range that no element leaves, from the quantizations that the value is computed of."""
        node = self._model.producers.get(value)
        if node is None or self._model.is_constant(value):
            return self._constant(value)
        if node.op_type == "DequantizeLinear":
            return _representable(self._model, node)
        if moves(node) or is_interpolation(node) or node.op_type in (*MAXIMA, *_AVERAGES):
            inside = self.possible(node.input[0])
            return inside.joined(Range(0, 0)) if node.op_type in ("Pad", *_AVERAGES) else inside
        if node.op_type in ("Relu", "Clip"):
            return self.possible(node.input[0]).clamped(*bounds_of(self._model, node))
        if node.op_type == "Add":
            a, b = (self.possible(name) for name in node.input)
            return Range(a.low + b.low, a.high + b.high)
        if node.op_type == "Concat":
            ranges = [self.possible(name) for name in node.input]
            return Range(min(r.low for r in ranges), max(r.high for r in ranges))
        return Range()

    def useful(self, value: str) -> Range:
        """A range outside of which an element has the effect of the nearest bound: behind it everything saturates."""
        if value in self._model.outputs:
            return Range()
        ranges = [self._useful_to(reader, value) for reader in self._model.consumers.get(value, [])]
        return Range(min(r.low for r in ranges), max(r.high for r in ranges)) if ranges else Range()

    def _useful_to(self, reader: onnx.NodeProto, value: str) -> Range:
        if reader.op_type == "QuantizeLinear":
            return _representable(self._model, reader)
        if moves(reader) or reader.op_type in MAXIMA:
            return self.useful(reader.output[0]) if len(reader.output) == 1 else Range()
        if reader.op_type in ("Relu", "Clip"):
            low, high = bounds_of(self._model, reader)
            return self.useful(reader.output[0]).clamped(low, high)
        if reader.op_type == "Add" and list(reader.input).count(value) == 1:
            other = self.possible(next(name for name in reader.input if name != value))
            wanted = self.useful(reader.output[0])
            return Range(wanted.low - other.high, wanted.high - other.low)
        return Range()

    def _constant(self, value: str) -> Range:
        given = self._model.constants.get(value)
        return Range() if given is None else Range(float(given.min()), float(given.max()))


def _representable(model: Model, node: onnx.NodeProto) -> Range:
    """The reals between the lowest and the highest byte of a QuantizeLinear or DequantizeLinear."""
    try:
        quantization = of_quantizer(model, node)
    except RefusalError:
        return Range()
    info = np.iinfo(quantization.dtype)
    return Range(float(quantization.dequantize(info.min)), float(quantization.dequantize(info.max)))


def quantization_of(found: Range, dtype: np.dtype) -> Quantization:
    """The quantization of `dtype` whose 256 steps cover a range and 0, which it represents exactly."""
    info = np.iinfo(dtype)
    low, high = min(found.low, 0.0), max(found.high, 0.0)
    scale = np.float32((high - low) / (info.max - info.min)) or np.float32(1)
    zero = int(np.clip(np.rint(info.min - low / float(scale)), info.min, info.max))
    return Quantization(scale, zero, dtype)
