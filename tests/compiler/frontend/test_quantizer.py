"""Networks from ONNX Runtime's own quantizer, in both formats, are imported exactly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exact_graph import equal_values
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Lookup


class _Images(CalibrationDataReader):
    """A few images for the network's input."""

    def __init__(self, images: np.ndarray) -> None:
        self.left: Iterator[dict[str, Any]] = iter([{"data": image[np.newaxis]} for image in images])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.left, None)


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
def test_a_quantized_densenet(shared_data: Path, tmp_path: Path, form: QuantFormat, activations: str) -> None:
    pixels = np.load(shared_data / "cifar10_lossless_130.npz")["x_uint8_nhwc"][:3]
    images = (pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    quantize_static(
        shared_data / "models" / "densenet_bc_40_12_cifar10_fp32.onnx",
        tmp_path / "quantized.onnx",
        _Images(images[:1]),
        quant_format=form,
        activation_type=QuantType[activations],
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
    graph = import_model(tmp_path / "quantized.onnx").graph
    assert sum(isinstance(op, Lookup) and len(op.table) > 1 for op in graph.ops) >= 20  # BatchNormalization, Relu
    equal_values(graph, {"data": images[:1]})
