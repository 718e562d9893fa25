"""Functions of one element as tables, filled by ONNX Runtime itself."""

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
    """The 256 values of uint8 or int8 [256] in the order of their raw bytes."""
    return np.arange(BYTE_VALUES).astype(np.uint8).view(dtype)


def tabulate(model: Model, nodes: Sequence[onnx.NodeProto], x: Tensor, channels: int) -> Array:
    """What the nodes make of every byte of `x`, [1, 256], or [channels, 256] where the channels differ.

    They run under ONNX Runtime's default optimizations and, where the tensor has positions, with positions, so that
    what the reference fuses is fused here too, and what it broadcasts is broadcast.
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
    """A shape of the tensor's rank for all bytes: along the positions where it has any, else along the batch."""
    following = x.onnx_shape[1:]
    if following and int(np.prod(following)) > 1:
        return [1, channels, *[1] * (len(following) - 1), BYTE_VALUES], True
    return [BYTE_VALUES, channels, *[1] * len(following)], False


def constants_of(model: Model, nodes: Sequence[onnx.NodeProto]) -> dict[str, Array]:
    """The constants that the nodes read."""
    names = {name for node in nodes for name in node.input if name and model.is_constant(name)}
    return {name: model.constants[name] for name in sorted(names)}


def channels_of(model: Model, node: onnx.NodeProto, names: Sequence[str], rank: int, by_channel: bool = False) -> int:
    """1, or the number of channels where a constant operand differs between them.

    Parameters
    ----------
    names
        The constants in question.
    rank
        Of the node's result, with the batch.
    by_channel
        They are 1-D along the channels, whatever the rank.

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
    """Whether a constant operand of a result of `rank` has an extent along another axis than the channels."""
    aligned = (1,) * (rank - constant.ndim) + constant.shape
    return any(extent != 1 for axis, extent in enumerate(aligned) if axis != 1)
