"""Activations with one scale per channel, which some quantizers use before depthwise convolutions.

Such a tensor is expressed in units of its own steps, so that its scale becomes 1. The weight scales of a convolution that
computes it are divided by the steps, those of one that reads it are multiplied by them, for each channel, with one rounding
of each scale. For all other producers and readers a division or multiplication by the steps is inserted, which is what
QuantizeLinear and DequantizeLinear compute.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute, attributes_of
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import BYTES, dequantizer_axis, scales, zero_points
from arrayloom.compiler.frontend.report import RefusalError, Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.rewriting.scaled_weights import ScaledWeights

_REMEDY = "quantize activations per tensor; weights may be per channel"

#: Functions f with f(s * x) = s * f(x) for s > 0.
_HOMOGENEOUS = ("Relu", "LeakyRelu", "PRelu", *NOTHING)

#: Operators that choose elements of each channel.
_CHOICES = ("MaxPool", "Relu", *NOTHING)


@dataclass(frozen=True)
class Steps:
    """A per-channel quantization: the scale of each channel [C], and a common zero point."""

    scales: NDArray[np.float32]
    zero_point: int
    dtype: np.dtype

    def along(self, rank: int) -> NDArray[np.float32]:
        """Returns the scales in a shape that broadcasts along axis 1 of a tensor with that rank."""
        return self.scales.reshape(1, -1, *[1] * (rank - 2))


def fold_activation_scales(model: Model, report: Report, _options: ImportOptions) -> Model:
    """Returns the model with every activation quantized per tensor; nodes that cannot be changed are refused."""
    folding = _Folding(model)
    for node in model.nodes:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or model.is_constant(node.output[0]):
            continue
        try:
            folding.fold(node)
        except RefusalError as refusal:
            report.refuse(node, refusal)
    return folding.editor.finish()


class _Folding:
    """The conversion of one model."""

    def __init__(self, model: Model) -> None:
        self.editor = Editor(model)
        self._model = model
        self._weights = ScaledWeights(model, self.editor)

    def fold(self, node: onnx.NodeProto) -> None:
        """Gives a QuantizeLinear or DequantizeLinear with several scales the scale 1."""
        steps = self._steps(node)
        if steps is None:
            return
        if node.op_type == "QuantizeLinear":
            self._fold_into_producer(node, steps)
        else:
            self._fold_into_readers(node, steps)

    def _steps(self, node: onnx.NodeProto) -> Steps | None:
        """Returns the quantization of a node with several scales, or None if it has one."""
        integer = node.output[0] if node.op_type == "QuantizeLinear" else node.input[0]
        rank, dtype = len(self._model.shapes[integer]), self._model.dtypes[integer]
        several = self._model.constants.get(node.input[1], np.empty(1)).size > 1
        if not several or dtype not in BYTES or dequantizer_axis(node, rank) != 1:
            return None
        scale = scales(self._model, node.input[1])
        zero = np.unique(zero_points(self._model, node.input[2] if len(node.input) > 2 else "", np.zeros(1, np.int8)))
        if zero.size != 1:
            raise RefusalError(
                f"activations quantized per channel with {zero.size} zero points",
                "give all channels one zero point, or quantize activations per tensor",
                f"zero point '{node.input[2]}'",
            )
        return Steps(scale.reshape(-1), int(zero[0]), dtype)

    def _fold_into_producer(self, node: onnx.NodeProto, steps: Steps) -> None:
        chain = list(self._chain(node.input[0]))
        source = self._model.producers.get(chain[-1].input[0] if chain else node.input[0])
        if source is None or source.op_type != "Conv":
            self._check_function(node, node.input[0])
            counted = self.editor.fresh(f"{node.output[0]}_steps")
            self._scale(node, "Div", node.input[0], counted, steps)
            self._quantize(node, counted, steps)
            return
        bounds = self._bounds(chain, steps)
        value = self._weights.divided(source, steps.scales)
        for link in reversed(chain):
            value = self._repeat(link, value)
        self._quantize(node, value, steps, bounds)

    def _chain(self, value: str) -> Iterator[onnx.NodeProto]:
        """Yields the homogeneous functions and Clips that compute a value, from the last to the first."""
        node = self._model.producers.get(value)
        while node is not None and node.op_type in (*_HOMOGENEOUS, "Clip"):
            yield node
            node = self._model.producers.get(node.input[0])

    def _repeat(self, link: onnx.NodeProto, value: str) -> str:
        """Repeats a function on a value in steps; a Clip becomes at most a Relu, as integer bounds do the rest."""
        output = self.editor.fresh(f"{link.output[0]}_steps")
        if link.op_type != "Clip":
            attributes = attributes_of(link)
            return self.editor.add(link.op_type, [value, *link.input[1:]], output, link, **attributes)
        if bounds_of(self._model, link)[0] == 0.0:
            return self.editor.add("Relu", [value], output, link)
        return value

    def _bounds(self, chain: list[onnx.NodeProto], steps: Steps) -> NDArray[np.int64]:
        """Returns the integers [2, C] to which the Clips of a chain bound each channel; a Relu applies bounds of 0."""
        info = np.iinfo(steps.dtype)
        bounds = np.repeat(np.array([[info.min], [info.max]], np.int64), steps.scales.size, axis=1)
        for index, link in enumerate(reversed(chain)):
            if link.op_type != "Clip":
                continue
            if any(other.op_type in ("LeakyRelu", "PRelu") for other in chain[: len(chain) - 1 - index]):
                raise RefusalError(
                    f"its scales differ between channels, and so do the bounds of {described(link)}", _REMEDY
                )
            low, high = bounds_of(self._model, link)
            limits = [np.float32(limit) / steps.scales for limit in (-np.inf if low == 0 else low, high)]
            first, last = (np.clip(np.rint(limit) + steps.zero_point, info.min, info.max) for limit in limits)
            bounds = np.clip(bounds, first, last).astype(np.int64)
        return bounds

    def _quantize(
        self, node: onnx.NodeProto, value: str, steps: Steps, bounds: NDArray[np.int64] | None = None
    ) -> None:
        """Quantizes a value in steps, and applies the bounds that are narrower than saturation."""
        one, zero = self._parameters(node, steps)
        info = np.iinfo(steps.dtype)
        self.editor.remove([node])
        if bounds is None or (np.all(bounds[0] == info.min) and np.all(bounds[1] == info.max)):
            self.editor.add("QuantizeLinear", [value, one, zero], node.output[0], node)
            return
        raw, real, bounded = (self.editor.fresh(f"{node.output[0]}_{name}") for name in ("unbounded", "real", "bounded"))
        self.editor.add("QuantizeLinear", [value, one, zero], raw, node)
        self.editor.add("DequantizeLinear", [raw, one, zero], real, node)
        rank = len(self._model.shapes[node.output[0]])
        for operator, limit in zip(("Max", "Min"), bounds - steps.zero_point, strict=True):
            name = self.editor.constant(f"{bounded}_{operator}", limit.reshape(1, -1, *[1] * (rank - 2)), np.float32)
            real = self.editor.add(operator, [real, name], self.editor.fresh(f"{bounded}_{operator}"), node)
        self.editor.add("QuantizeLinear", [real, one, zero], node.output[0], node)

    def _fold_into_readers(self, node: onnx.NodeProto, steps: Steps) -> None:
        self._check_readers(node.output[0], steps)
        one, zero = self._parameters(node, steps)
        counted = self.editor.fresh(f"{node.output[0]}_steps")
        self.editor.add("DequantizeLinear", [node.input[0], one, zero], counted, node)
        self._multiply(node, counted, steps)

    def _check_readers(self, value: str, steps: Steps) -> None:
        """Refuses readers that cannot be changed, before anything is changed."""
        if value in self._model.outputs:
            raise RefusalError("an output of the model is quantized per channel", _REMEDY)
        for reader in self._model.consumers.get(value, []):
            if reader.op_type == "Conv":
                grouped = steps.scales.reshape(int(attribute(reader, "group", 1)), -1)
                if np.all(grouped == grouped[:, :1]):
                    continue
                reason = f"{described(reader)} adds up channels that are quantized with different scales"
            elif reader.op_type in _CHOICES:
                self._check_readers(reader.output[0], steps)
                continue
            elif reader.op_type == "QuantizeLinear" or (reader.op_type in FUNCTIONS and self._is_alone(reader, value)):
                continue
            else:
                reason = f"{described(reader)} reads activations quantized per channel"
            raise RefusalError(reason, "quantize activations per tensor, except before depthwise convolutions", f"'{value}'")

    def _is_alone(self, node: onnx.NodeProto, value: str) -> bool:
        """Whether the node is a function of this value only."""
        front, seen = list(node.input), {value, ""}
        while front:
            name = front.pop()
            if name in seen or self._model.is_constant(name):
                continue
            seen.add(name)
            producer = self._model.producers.get(name)
            if producer is None or producer.op_type not in FUNCTIONS:
                return False
            front.extend(producer.input)
        return True

    def _multiply(self, maker: onnx.NodeProto, counted: str, steps: Steps) -> None:
        """Makes all readers of a node's result read `counted` instead, which must be multiplied by the steps."""
        value = maker.output[0]
        readers = self._model.consumers.get(value, [])
        for reader in readers:
            if reader.op_type == "Conv":
                self._weights.multiply(reader, counted, steps.scales)
            elif reader.op_type in _CHOICES:
                attributes = attributes_of(reader)
                chosen = self.editor.fresh(f"{reader.output[0]}_steps")
                self.editor.add(reader.op_type, [counted, *reader.input[1:]], chosen, reader, **attributes)
                self._multiply(reader, chosen, steps)
        self.editor.remove([maker])
        if any(reader.op_type not in ("Conv", *_CHOICES) for reader in readers):
            self._scale(maker, "Mul", counted, value, steps)

    def _check_function(self, quantizer: onnx.NodeProto, value: str) -> None:
        """Refuses values that cannot be divided by steps; only functions of one quantized tensor or of an input can."""
        node = self._model.producers.get(value)
        while node is not None and node.op_type in (*FUNCTIONS, *MOVEMENTS, *NOTHING):
            operands = [name for name in node.input if name and not self._model.is_constant(name)]
            if not operands:
                return
            node = self._model.producers.get(operands[0])
        if node is not None and node.op_type != "DequantizeLinear":
            raise RefusalError(
                f"the result of {described(node)} is quantized per channel", _REMEDY,
                f"scale '{quantizer.input[1]}'",
            )

    def _scale(self, like: onnx.NodeProto, operator: str, value: str, result: str, steps: Steps) -> None:
        name = self.editor.constant(f"{result}_factors", steps.along(len(self._model.shapes[like.output[0]])))
        self.editor.add(operator, [value, name], result, like)

    def _parameters(self, node: onnx.NodeProto, steps: Steps) -> tuple[str, str]:
        one = self.editor.constant(f"{node.output[0]}_step", 1, np.float32)
        return one, self.editor.constant(f"{node.output[0]}_zero_point", steps.zero_point, steps.dtype)
