"""Seeded random weights under which every layer stays alive.

Weights are drawn by He's rule (2015). One run over a few images then measures mean and variance behind every layer, with
each layer normalized before the next one sees it: a BatchNormalization takes them as its running statistics, any other
weighted layer is scaled and shifted by them.
"""

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures import Blueprint, Shape
from arrayloom.host.models.networks.weights.measure import Statistics, measure

Array = NDArray[np.float32]

_L2_SCALE = 20.0    # where SSD's training starts from


def seeded_weights(blueprint: Blueprint, seed: int, images: Array) -> dict[str, Array]:
    """Values of all parameters; ``images``: float32 [N, C, H, W], preprocessed."""
    rng = np.random.default_rng(seed)
    drawn = {name: _draw(rng, name, shape, blueprint) for name, shape in blueprint.parameters.items()}
    for node, statistics in measure(blueprint, drawn, images):
        _settle(node, drawn, statistics)
    return drawn


def _draw(rng: np.random.Generator, name: str, shape: Shape, blueprint: Blueprint) -> Array:
    if len(shape) > 1:
        return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if name in blueprint.folded.values():
        return np.full(shape, _L2_SCALE, np.float32)
    if name.endswith(".weight"):
        return rng.uniform(0.8, 1.2, shape).astype(np.float32)
    if name.endswith((".running_var", ".running_mean")):
        return np.full(shape, name.endswith(".running_var"), np.float32)
    return rng.normal(0, 0.1, shape).astype(np.float32)


def _settle(node: onnx.NodeProto, parameters: dict[str, Array], statistics: Statistics) -> None:
    """Gives the layer the parameters that make its output what it was while measuring."""
    if node.op_type == "BatchNormalization":
        mean, variance = node.input[3:]
        parameters[mean], parameters[variance] = statistics.mean, statistics.variance
        return
    weight, bias = node.input[1:]
    deviation = np.sqrt(statistics.variance)
    parameters[weight] /= deviation.reshape(-1, *(1,) * (parameters[weight].ndim - 1))
    parameters[bias] -= statistics.mean / deviation
