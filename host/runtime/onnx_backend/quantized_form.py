"""A float operator as left by a quantizer: between QuantizeLinear and DequantizeLinear, or after a quantized layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # their second operand is a weight
FIRST_OPSET = 10    # of QuantizeLinear


def between_quantizers(model: onnx.ModelProto, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> onnx.ModelProto:
    """The model with its float inputs, weights and results quantized, to uint8 (weights: int8).

    Args
    ----
    model
        A float model, parameters frozen.
    inputs
        Its inputs by name, whose ranges the scales cover.
    outputs
        Its outputs for them.
    """
    form = _Form(model)
    for name, value in inputs.items():
        form.replace(name, form.pair(name, value))
    form.quantize_weights()
    for name, value in outputs.items():
        if value.dtype == np.float32:
            form.rename_output(name, value)
    return form.finish()


def behind_a_layer(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> onnx.ModelProto:
    """The float model after a quantized product of its input and 1: as for operators left to the host at a network's end."""
    form = _Form(model)
    for name, value in inputs.items():
        scaled = form.node("Mul", [form.pair(name, value), form.constant(f"{name}_one", np.float32(1))], f"{name}_scaled")
        form.replace(name, form.pair(scaled, value))
    return form.finish()


class _Form:
    """The change of one model: new nodes are added before and after its own."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._graph = self._model.graph
        self._own = list(self._graph.node)
        self._before: list[onnx.NodeProto] = []
        self._after: list[onnx.NodeProto] = []
        self._place = self._before
        self._weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self._graph.initializer}

    def constant(self, name: str, value: Any) -> str:
        """A further initializer."""
        self._graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str) -> str:
        """Adds a node with one output."""
        self._place.append(onnx.helper.make_node(operator, inputs, [output], name=f"{output}_node"))
        return output

    def pair(self, name: str, values: Array, signed: bool = False, output: str = "") -> str:
        """Adds QuantizeLinear and DequantizeLinear after a value; `signed` for int8 with the zero point 0, as weights
        have."""
        low, high = min(float(values.min(initial=0)), 0.0), max(float(values.max(initial=0)), 0.0)
        scale = max(2 * max(high, -low) if signed else high - low, 1e-3) / 255
        zero = np.int8(0) if signed else np.uint8(np.clip(np.rint(-low / scale), 0, 255))
        names = [self.constant(f"{name}_scale", np.float32(scale)), self.constant(f"{name}_zero", zero)]
        self.node("QuantizeLinear", [name, *names], f"{name}_integer")
        return self.node("DequantizeLinear", [f"{name}_integer", *names], output or f"{name}_real")

    def replace(self, name: str, by: str) -> None:
        """Let the model's own nodes read another value."""
        for node in self._own:
            node.input[:] = [by if given == name else given for given in node.input]

    def quantize_weights(self) -> None:
        """The second operands of products that are constant."""
        for node in self._own:
            if node.op_type in WEIGHTED and node.input[1] in self._weights:
                name = node.input[1]
                node.input[1] = self.pair(name, self._weights[name], signed=True)

    def rename_output(self, name: str, values: Array) -> None:
        """Quantize and dequantize an output."""
        self.replace(name, f"{name}_float")
        for node in self._own:
            node.output[:] = [f"{name}_float" if made == name else made for made in node.output]
        self._place = self._after
        self.pair(f"{name}_float", values, output=name)

    def finish(self) -> onnx.ModelProto:
        """The changed model."""
        del self._graph.node[:], self._graph.value_info[:]
        self._graph.node.extend([*self._before, *self._own, *self._after])
        outputs = [onnx.ValueInfoProto(name=value.name) for value in self._graph.output]
        del self._graph.output[:]
        self._graph.output.extend(outputs)
        return self._model
