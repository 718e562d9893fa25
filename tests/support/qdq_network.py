"""QDQ networks written node by node, imported and compared with ONNX Runtime at every tensor."""

from typing import Any

import numpy as np
import onnx
from exact_graph import equal_values
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]
X_SCALE, W_SCALE, Y_SCALE = 0.5, 0.0125, 0.25
X_ZERO, Y_ZERO = 3, 7


class QdqNetwork(Network):
    """`x` (uint8) -> DequantizeLinear -> `real` -> ... -> QuantizeLinear -> `y`; weights are int8."""

    def __init__(self, opset: int = 13) -> None:
        super().__init__(opset)
        self.real = self.dequantize("x", X_SCALE, X_ZERO)

    def weight(self, *shape: int, axis: int | None = None) -> str:
        """A dequantized int8 weight over its whole range, per tensor or per channel along `axis`."""
        random = np.random.default_rng(len(self.nodes))
        values = random.integers(-128, 128, shape).astype(np.int8)
        count = () if axis is None else (shape[axis],)
        scale = (W_SCALE * random.uniform(0.5, 1.0, count)).astype(np.float32)
        names = [self.constant(values), self.constant(scale), self.constant(np.zeros(count, np.int8))]
        return self.node("DequantizeLinear", names, **({} if axis is None else {"axis": axis}))

    def rounded(self, value: str, scale: float = Y_SCALE, zero_point: int = Y_ZERO) -> str:
        """QuantizeLinear and DequantizeLinear."""
        return self.dequantize(self.quantize(value, scale, zero_point), scale, zero_point)

    def finished(self, real: str, *shape: int, batch: int | str = "N") -> onnx.ModelProto:
        """The model with ``real`` quantized to ``y``, and an input [batch, *shape]."""
        self.quantize(real, Y_SCALE, Y_ZERO, output="y")
        return self.model({"x": (np.uint8, [batch, *shape])}, ["y"])


def check(model: onnx.ModelProto, step: int = 1) -> ImportedModel:
    """The imported model: equal to its lowered form at every tensor, and within ``step`` of the original model."""
    imported = import_model(model)
    images = {port.name: _image(port.dtype, port.shape) for port in imported.graph.model_inputs}
    expected = equal_values(imported.graph, images)
    given = Reference(imported.original).run(images)
    for port in imported.graph.outputs:
        if not port.tail:
            difference = given[port.name].astype(int) - expected[port.name].astype(int)
            assert np.abs(difference).max() <= step, port.name
    return imported


def operators(imported: ImportedModel) -> list[str]:
    """The operators of the lowered model, in order."""
    return [node.op_type for node in imported.lowered.graph.node]


def _image(dtype: str, shape: tuple[int, ...]) -> Array:
    random = np.random.default_rng(1)
    if np.dtype(dtype).kind == "f":
        return random.normal(size=(1, *shape)).astype(dtype)
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, (1, *shape), endpoint=True).astype(dtype)
