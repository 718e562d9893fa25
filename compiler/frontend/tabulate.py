"""Lookup tables of element-wise functions, computed by ONNX Runtime itself."""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array, Session, small_model
from arrayloom.compiler.graph import Tensor
from arrayloom.isa.instructions import BYTE_VALUES


def all_bytes(dtype: np.dtype) -> Array:
    """Returns the 256 values of uint8 or int8 in the order of their raw bytes."""
    return np.arange(BYTE_VALUES).astype(np.uint8).view(dtype)


def tabulate(model: Model, nodes: Sequence[onnx.NodeProto], x: Tensor, channels: int) -> Array:
    """Returns the result of the nodes for every byte of `x`: [1, 256], or [channels, 256] if the channels differ.

    The nodes run under ONNX Runtime's default optimizations and, if the tensor has positions, with positions, so that the
    same nodes are fused and the same operands are broadcast as in the reference.
    """
    shape, positions = _shape(x, channels)
    result = nodes[-1].output[0]
    part = small_model(model.proto, nodes, {x.name: (x.dtype, shape)}, constants_of(model, nodes), [result])
    given = all_bytes(x.dtype)
    if positions:
        given = np.broadcast_to(given, (channels, BYTE_VALUES)).reshape(shape)
    else:
        given = np.broadcast_to(given[:, np.newaxis], (BYTE_VALUES, channels)).reshape(shape)
    values = Session(part).run({x.name: np.ascontiguousarray(given)})[result]
    rows = values.reshape(channels, BYTE_VALUES) if positions else values.reshape(BYTE_VALUES, channels).T
    return np.ascontiguousarray(rows[:1] if np.array_equal(rows, np.broadcast_to(rows[:1], rows.shape)) else rows)


def _shape(x: Tensor, channels: int) -> tuple[list[int], bool]:
    """Returns a shape with the tensor's rank for all bytes, and whether they lie along positions instead of the batch."""
    following = x.onnx_shape[1:]
    if following and int(np.prod(following)) > 1:
        return [1, channels, *[1] * (len(following) - 1), BYTE_VALUES], True
    return [BYTE_VALUES, channels, *[1] * len(following)], False


def constants_of(model: Model, nodes: Sequence[onnx.NodeProto]) -> dict[str, Array]:
    """Returns the constants that the nodes read."""
    names = {name for node in nodes for name in node.input if name and model.is_constant(name)}
    return {name: model.constants[name] for name in sorted(names)}


def channels_of(model: Model, node: onnx.NodeProto, names: Sequence[str], rank: int, by_channel: bool = False) -> int:
    """Returns the number of channels if a constant operand differs between them, otherwise 1.

    Parameters
    ----------
    names
        The constant operands.
    rank
        The rank of the node's result, with the batch.
    by_channel
        Whether the constants are 1-D along the channels, whatever the rank.

    Raises
    ------
    RefusalError
        A constant differs between positions.
    """
    count = 1
    for name in names:
        shape = model.constants[name].shape
        if model.constants[name].size == 1:
            continue
        if not by_channel and differs_between_positions(model.constants[name], rank):
            raise RefusalError(
                f"the constant '{name}' of {described(node)} differs between positions",
                "use one value, or one for each channel",
                f"shape {list(shape)}",
            )
        count = max(count, model.constants[name].size)
    return count


def differs_between_positions(constant: Array, rank: int) -> bool:
    """Whether a constant operand has an extent other than 1 along an axis of the result other than the channels."""
    aligned = (1,) * (rank - constant.ndim) + constant.shape
    return any(extent != 1 for axis, extent in enumerate(aligned) if axis != 1)
