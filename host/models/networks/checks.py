"""Checks of a quantized network: that every layer is alive, and the error of SSD's L2 normalization."""

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.architectures import SSD_NORMALIZED
from arrayloom.host.models.networks.blueprint import INPUT
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.host_steps import dequantize

Array = NDArray[Any]
Floats = NDArray[np.float32]

SATURATED = 0.5
"""Fraction of a tensor at its upper limit above which a layer counts as saturated."""


class Liveness(NamedTuple):
    """Statistics of a network's integer tensors: their number; the tensor that uses the fewest of the 256 values, and how
    many; the tensor with the largest fraction at its upper limit, and that fraction."""

    tensors: int
    poorest: str
    values_used: int
    fullest: str
    saturated: float


def check_alive(model: onnx.ModelProto, images: Array) -> Liveness:
    """``images`` [N, C, H, W], at least two; every tensor must differ within an image and between images.

    Raises ``NetworkError`` naming the tensor that is constant, the same for all images, or saturated.
    """
    reference = Reference(model)
    runs = [_integers(reference, image[np.newaxis]) for image in images[:2]]
    used = {name: len(np.unique(value)) for name, value in runs[0].items()}
    full = {name: float((value == np.iinfo(value.dtype).max).mean()) for name, value in runs[0].items()}
    for name, value in runs[0].items():
        if used[name] == 1 and value.size > 1:
            raise NetworkError(f"tensor {name}: every element has the same value; its layer is dead; take another seed")
        if full[name] > SATURATED and value.size > 1:
            raise NetworkError(f"tensor {name}: {full[name]:.0%} of it is at its upper limit; its layer is saturated, so "
                               "another seed or other calibration images are needed")
        if value.size > 1 and np.array_equal(value, runs[1][name]):
            raise NetworkError(f"tensor {name}: is the same for two images; its layer is dead; take another seed")
    poorest, fullest = min(used, key=lambda name: used[name]), max(full, key=lambda name: full[name])
    return Liveness(len(used), poorest, used[poorest], fullest, full[fullest])


def _integers(reference: Reference, image: Array) -> dict[str, Array]:
    return {name: value for name, value in reference.run_all({INPUT: image}).items() if value.dtype in (np.uint8, np.int8)}


class NormalizationError(NamedTuple):
    """Error against the float normalization of the same integers, relative to the root mean square of its result:
    ``rms`` and ``largest`` difference."""

    rms: float
    largest: float


def normalization_error(model: onnx.ModelProto, images: Array) -> NormalizationError | None:
    """Over ``images`` [N, C, H, W]; None for a quantized network without such a normalization."""
    product = next((node for node in model.graph.node
                    if node.op_type == "QLinearMul" and node.output[0].startswith(SSD_NORMALIZED)), None)
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
