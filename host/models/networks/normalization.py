"""What SSD's L2 normalization loses by being computed of integers."""

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from arrayloom.host.models.networks.architectures import INPUT
from arrayloom.host.models.networks.architectures.ssd import NORMALIZED
from arrayloom.host.runtime.boundary import dequantize
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]
Floats = NDArray[np.float32]


class NormalizationError(NamedTuple):
    """Against the float normalization of the same integers, relative to the root mean square of its result: ``rms`` of the
    difference, and its ``largest`` value."""

    rms: float
    largest: float


def normalization_error(model: onnx.ModelProto, images: Array) -> NormalizationError | None:
    """Over ``images`` [N, C, H, W]; None for a quantized network without such a normalization."""
    product = next((node for node in model.graph.node
                    if node.op_type == "QLinearMul" and node.output[0].startswith(NORMALIZED)), None)
    if product is None:
        return None
    reference = Reference(model)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
                 if tensor.name in product.input}
    exact, found = [], []
    for image in images:
        values = reference.run_all({INPUT: image[np.newaxis]})
        x = _floats(values[product.input[0]], constants, product.input[1:3])
        exact.append(x / np.maximum(np.sqrt(np.square(x).sum(axis=1, keepdims=True)), np.float32(1e-12)))
        found.append(_floats(values[product.output[0]], constants, product.input[6:8]))
    difference, scale = np.stack(found) - np.stack(exact), np.sqrt(np.square(exact).mean())
    return NormalizationError(float(np.sqrt(np.square(difference).mean()) / scale), float(np.abs(difference).max() / scale))


def _floats(integers: Array, constants: dict[str, Array], names: list[str]) -> Floats:
    scale, zero_point = (constants[name] for name in names)
    return dequantize(integers, float(scale), int(zero_point))
