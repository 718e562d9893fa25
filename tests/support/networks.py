"""Small ONNX models written node by node."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[Any]
MICROSOFT = "com.microsoft"


class Network:
    """A model under construction; values are named by the caller or numbered."""

    def __init__(self, opset: int = 13) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, Array] = {}

    def name(self, stem: str) -> str:
        """A name that no other value has."""
        return f"{stem}_{len(self.nodes)}_{len(self.initializers)}"

    def constant(self, value: Any, name: str | None = None) -> str:
        """An initializer."""
        name = name or self.name("constant")
        self.initializers[name] = np.asarray(value)
        return name

    def node(self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """A node with one output, named ``OPERATOR_OUTPUT``; operators of com.microsoft get their domain."""
        output = output or self.name(operator.lower())
        domain = MICROSOFT if operator == "QGemm" or operator in _MICROSOFT_QLINEAR else ""
        domain = attributes.pop("domain", domain)
        self.nodes.append(
            onnx.helper.make_node(operator, inputs, [output], f"{operator}_{output}", domain=domain, **attributes)
        )
        return output

    def quantize(self, value: str, scale: float, zero_point: int, dtype: Any = np.uint8, output: str = "") -> str:
        """QuantizeLinear."""
        parameters = [self.constant(np.float32(scale)), self.constant(np.array(zero_point, dtype))]
        return self.node("QuantizeLinear", [value, *parameters], output or None)

    def dequantize(self, value: str, scale: float, zero_point: int, dtype: Any = np.uint8, output: str = "") -> str:
        """DequantizeLinear."""
        parameters = [self.constant(np.float32(scale)), self.constant(np.array(zero_point, dtype))]
        return self.node("DequantizeLinear", [value, *parameters], output or None)

    def model(self, inputs: dict[str, tuple[Any, list[int | str]]], outputs: list[str]) -> onnx.ModelProto:
        """The model; ``inputs`` gives dtypes and shapes; text in a shape is an open dimension."""
        graph = onnx.helper.make_graph(
            self.nodes,
            "network",
            [
                onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                for name, (dtype, shape) in inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [onnx.numpy_helper.from_array(value, name) for name, value in self.initializers.items()],
        )
        opsets = [onnx.helper.make_opsetid("", self.opset), onnx.helper.make_opsetid(MICROSOFT, 1)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


_MICROSOFT_QLINEAR = {
    "QLinearAdd",
    "QLinearMul",
    "QLinearConcat",
    "QLinearAveragePool",
    "QLinearGlobalAveragePool",
    "QLinearLeakyRelu",
    "QLinearSigmoid",
}
