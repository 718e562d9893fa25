"""Scales of weights where ONNX Runtime's own choice would lose the bias.

A bias is an integer of the scale x_scale * w_scale. Where a channel's weights are 0, or tiny beside its bias (pruned
channels, normalization by a factor near 0), the scale that fits the weights makes the bias overflow or vanish; such a
channel takes the scale that gives its bias 24 significant bits, as many as float32 has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model

BIAS_BITS = 24

Scales = NDArray[np.float64]
Overrides = dict[str, list[dict[str, Any]]]


def channel_axis(node: onnx.NodeProto) -> int | None:
    """The axis of a node's weights that holds the channels of its result; None where it has no bias of its own."""
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type)


def weight_overrides(model: Model, scales: Mapping[str, tuple[float, int]]) -> Overrides:
    """What ONNX Runtime's quantizer takes as `TensorQuantOverrides`, for the weights that need it.

    Args:
        model: the prepared network.
        scales: scale and zero point of each quantized value.
    """
    chosen: dict[str, tuple[int, Scales]] = {}
    for node in model.nodes:
        axis = channel_axis(node)
        if axis is None or len(node.input) < 3 or node.input[0] not in scales:
            continue
        if not all(model.is_constant(name) for name in node.input[1:]):
            continue
        natural, wanted = _natural(model, node, axis), _wanted(model, node, scales[node.input[0]][0])
        if wanted.size == natural.size and np.any(wanted > natural):
            _, earlier = chosen.get(node.input[1], (axis, natural))
            chosen[node.input[1]] = axis, np.maximum(earlier, wanted)
    return {name: [{"axis": axis, "scale": np.float32(scale or 1), "zero_point": np.int8(0)} for scale in values]
            for name, (axis, values) in chosen.items()}


def _natural(model: Model, node: onnx.NodeProto, axis: int) -> Scales:
    """The scales that fit the weights; 0 for a channel of zeros."""
    weight = model.constants[node.input[1]]
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.maximum(weight.max(axis=others), -weight.min(axis=others))
    return largest.astype(np.float64) / np.iinfo(np.int8).max


def _wanted(model: Model, node: onnx.NodeProto, x_scale: float) -> Scales:
    bias = model.constants[node.input[2]].astype(np.float64).reshape(-1)
    return np.abs(bias) / (x_scale * 2.0**BIAS_BITS)
