"""Finds how an island moves its elements, and whether its functions differ between channels."""

from dataclasses import dataclass

import numpy as np
import onnx

from arrayloom.compiler.frontend.islands.region import Region
from arrayloom.compiler.frontend.kinds import MOVEMENTS
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.moved import image_shape
from arrayloom.compiler.frontend.movement import Indices, trace
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.tabulate import channels_of
from arrayloom.compiler.graph import Tensor

PER_CHANNEL = ("BatchNormalization",)  # their constants are 1-D along the channels by definition


@dataclass(frozen=True)
class Route:
    """The effect of an island on positions.

    Attributes
    ----------
    index
        int64 in the ONNX shape of the result (with a batch of 1): the flat index into the source, or -k - 1 for padding that
        the k-th Pad inserts.
    moves
        Whether any element changes its position.
    channels
        The number of functions: 1, or one per channel.
    """

    index: Indices
    moves: bool
    channels: int


def find_route(model: Model, region: Region, x: Tensor) -> Route:
    """Follows indices through the island.

    Raises
    ------
    RefusalError
        Branches move elements differently, a constant differs between positions, or functions that differ between channels
        apply to moved channels.
    """
    start = np.arange(np.prod(x.onnx_shape), dtype=np.int64).reshape(1, *x.onnx_shape)
    indices: dict[str, Indices] = {}
    channels = 1
    for node in region.nodes:
        if node.op_type == "DequantizeLinear":
            indices[node.output[0]] = start
        elif node.op_type in MOVEMENTS:
            fill_index = -1 - region.pads.index(node) if node.op_type == "Pad" else -1
            indices[node.output[0]] = trace(model, node, indices[node.input[0]], fill_index)[0]
        else:
            indices[node.output[0]] = _common(model, node, indices)
            if (count := _channels(model, node)) > 1:
                _check_per_channel(indices[node.output[0]], x, count)
                channels = count
    index = indices[region.quantizer.output[0]]
    moves = not np.array_equal(index.ravel(), start.ravel())
    return Route(index, moves, channels)


def _common(model: Model, node: onnx.NodeProto, indices: dict[str, Indices]) -> Indices:
    """Returns the positions of a function's operands, which must be equal for all operands and its result."""
    operands = [indices[name] for name in node.input if name in indices]
    alike = all(np.array_equal(operand, operands[0]) for operand in operands)
    if not alike or operands[0].shape != model.shapes[node.output[0]]:
        raise RefusalError(
            f"{described(node)} combines elements of different positions",
            "put QuantizeLinear and DequantizeLinear around that node",
        )
    return operands[0]


def _channels(model: Model, node: onnx.NodeProto) -> int:
    names = node.input[1:] if node.op_type == "QuantizeLinear" else node.input
    constant = [name for name in names if name and model.is_constant(name)]
    return channels_of(model, node, constant, len(model.shapes[node.output[0]]), node.op_type in PER_CHANNEL)


def _check_per_channel(index: Indices, x: Tensor, channels: int) -> None:
    """Refuses functions that differ between channels unless they apply to all channels of the source, in order.

    A view of the source that only arranges its pixels differently is allowed.
    """
    view = image_shape(x.onnx_shape)
    if x.shape[0] != channels or (view[0], view[1] * view[2]) != (x.shape[0], x.shape[1] * x.shape[2]):
        raise RefusalError(
            f"functions for {channels} channels are applied to a tensor of shape {list(x.onnx_shape)}",
            "apply them before the tensor is reshaped",
        )
    source = index // (x.shape[1] * x.shape[2])
    own = np.arange(channels).reshape(1, -1, *[1] * (index.ndim - 2))
    if index.shape[1] != channels or not np.all((source == own) | (index < 0)):
        raise RefusalError(
            "functions that differ between channels are applied to channels that were moved before",
            "put QuantizeLinear and DequantizeLinear between the two",
        )
