"""Merges a factor for each channel of a convolution's input or result into the scales of its dequantized weights."""

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute, attributes_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import dequantizer_axis
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.rewriting.editor import Editor

Factors = NDArray[np.float32]


class ScaledWeights:
    """Changes the scales of weights and biases; their integers do not change.

    Input factors and result factors can be set in any order, and a convolution can have both.
    """

    def __init__(self, model: Model, editor: Editor) -> None:
        self._model = model
        self._editor = editor
        self._multiplied: dict[str, Factors] = {}
        self._results: set[str] = set()
        self._divided: list[tuple[onnx.NodeProto, str, Factors]] = []

    def multiply(self, conv: onnx.NodeProto, x: str, scales: Factors) -> None:
        """Makes a convolution read `x` instead of its input, `x` times `scales` [C], which are equal within each group."""
        group = int(attribute(conv, "group", 1))
        outputs = self._model.shapes[conv.output[0]][1]
        factors = np.repeat(scales.reshape(group, -1)[:, 0], outputs // group)
        self._multiplied[conv.output[0]] = factors
        node = self._editor.maker(conv.output[0])
        node.input[0] = x
        node.input[1] = self._weight(conv, factors.astype(np.float64))
        self._editor.touch()
        for other, result, divisors in list(self._divided):
            if other.output[0] == conv.output[0]:
                self._add_divided(conv, result, divisors)

    def divided(self, conv: onnx.NodeProto, scales: Factors) -> str:
        """Returns the name of a value that is the convolution's result divided by `scales` [C]."""
        result = self._editor.fresh(f"{conv.output[0]}_steps")
        self._add_divided(conv, result, scales)
        self._divided.append((conv, result, scales))
        return result

    def _add_divided(self, conv: onnx.NodeProto, result: str, scales: Factors) -> None:
        """Adds or replaces a copy of the convolution, as it is now, with its scales divided."""
        if result in self._results:
            self._editor.remove([self._editor.maker(result)])
        self._results.add(result)
        multiplied = self._multiplied.get(conv.output[0], np.ones_like(scales))
        inputs = [self._editor.maker(conv.output[0]).input[0], self._weight(conv, multiplied.astype(np.float64) / scales)]
        if len(conv.input) > 2 and conv.input[2]:
            inputs.append(self._bias(conv, scales))
        attributes = attributes_of(conv)
        self._editor.add("Conv", inputs, result, conv, **attributes)

    def _weight(self, conv: onnx.NodeProto, factors: NDArray[np.float64]) -> str:
        """Returns the dequantized weights of a convolution times factors [M], as a DequantizeLinear of the same integers."""
        node = self._model.producers.get(conv.input[1])
        if node is None or node.op_type != "DequantizeLinear" or not self._model.is_constant(conv.input[1]):
            raise RefusalError(
                f"the weights of {described(conv)} are not quantized, but the activations are, per channel",
                "quantize the weights too, with DequantizeLinear after them",
            )
        given = self._model.constants[node.input[1]]
        if given.size > 1 and dequantizer_axis(node, len(self._model.shapes[node.input[0]])) != 0:
            raise RefusalError(
                f"the weights of {described(conv)} are quantized along an axis other than the output channels",
                "quantize them per tensor or along axis 0",
            )
        scale = (np.broadcast_to(given.reshape(-1), factors.shape) * factors).astype(np.float32)
        inputs = [node.input[0], self._editor.constant(f"{node.input[1]}_folded", scale)]
        zero = self._model.constant(node, 2)
        if zero is not None:
            spread = np.broadcast_to(zero.reshape(-1), factors.shape).copy()
            inputs.append(self._editor.constant(f"{node.input[2]}_folded", spread))
        result = self._editor.fresh(f"{conv.input[1]}_folded")
        return self._editor.add("DequantizeLinear", inputs, result, node, node.domain, axis=0)

    def _bias(self, conv: onnx.NodeProto, scales: Factors) -> str:
        """Returns the bias of a convolution divided by `scales`, with the same integers if it is quantized."""
        node = self._model.producers.get(conv.input[2])
        result = self._editor.fresh(f"{conv.input[2]}_folded")
        if not self._model.is_constant(conv.input[2]):
            raise RefusalError(f"its bias '{conv.input[2]}' is not constant", "use a constant bias")
        if node is None or node.op_type != "DequantizeLinear":
            value = (self._model.constants[conv.input[2]].astype(np.float64) / scales).astype(np.float32)
            return self._editor.constant(result, value)
        scale = (np.broadcast_to(self._model.constants[node.input[1]].reshape(-1), scales.shape) / scales.astype(np.float64))
        inputs = [node.input[0], self._editor.constant(f"{node.input[1]}_folded", scale.astype(np.float32))]
        zero = self._model.constant(node, 2)
        if zero is not None:
            spread = np.broadcast_to(zero.reshape(-1), scales.shape).copy()
            inputs.append(self._editor.constant(f"{node.input[2]}_folded", spread))
        return self._editor.add("DequantizeLinear", inputs, result, node, node.domain, axis=0)
