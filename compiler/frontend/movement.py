"""Data movement as a map of coordinates, found by moving indices instead of values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import RESHAPES
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import PAD_OPSET
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Session, small_model
from arrayloom.compiler.frontend.tidy.edit import copied_node
from arrayloom.compiler.graph import Tensor

Indices = NDArray[np.int64]
_SCALING = ("Resize", "Upsample")
_INDEX_DTYPES = dict.fromkeys(_SCALING, np.int32)  # ONNX Runtime has no int64 kernels for these


@dataclass(frozen=True)
class Movement:
    """A movement to [C, H, W] that maps each coordinate separately.

    Attributes
    ----------
    channels, rows, columns
        int32: for each coordinate of the output that of the source, or -1 for padding.
    swapped
        Whether rows are taken from the source's columns, and columns from its rows.
    """

    channels: NDArray[np.int32]
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    swapped: bool = False


@dataclass(frozen=True)
class PixelMovement:
    """A movement to [C, H, W] that maps channels and pixels separately.

    Attributes
    ----------
    channels
        int32[C]: for each channel of the output that of the source, or -1 for padding.
    places
        int32[H, W]: for each pixel of the output the index of the source's pixel in row-major order, or -1 for padding.
    """

    channels: NDArray[np.int32]
    places: NDArray[np.int32]


def trace(model: Model, node: onnx.NodeProto, source: Indices, fill_index: int) -> list[Indices]:
    """Returns the indices [1, ...] after the node moved them, one array per named output; padding becomes `fill_index`."""
    for name in node.input[1:]:
        if name and not model.is_constant(name):
            raise RefusalError(f"its operand '{name}' is computed at run time", "use constant indices and amounts")
    if node.op_type in RESHAPES:
        return [source.reshape(model.shapes[node.output[0]])]
    moving = copied_node(node)
    moving.input[0] = "indices"
    constants = {name: model.constants[name] for name in node.input[1:] if name}
    if node.op_type == "Pad":
        constants |= _index_padding(model, moving, fill_index)
    outputs = [name for name in node.output if name]
    if node.op_type in _SCALING:
        _check_nearest(node)
    given = source.astype(_INDEX_DTYPES.get(node.op_type, np.int64))
    part = small_model(model.proto, [moving], {"indices": (given.dtype, given.shape)}, constants, outputs)
    values = Session(part, optimize=False).run({"indices": given})
    return [values[name].astype(np.int64) for name in outputs]


def _check_nearest(node: onnx.NodeProto) -> None:
    mode = attribute(node, "mode", "nearest")
    if mode != "nearest":
        raise RefusalError(
            "it interpolates between integer pixels with weights that are rounded in float",
            "resize by a power of two with half_pixel or asymmetric coordinates, or quantize the network in QDQ format",
            f"mode = {mode}",
        )


def _index_padding(model: Model, node: onnx.NodeProto, fill_index: int) -> dict[str, Indices]:
    """Returns the constant with which a Pad inserts `fill_index`; empty if it repeats elements of the image instead."""
    if attribute(node, "mode", "constant") != "constant":
        return {}
    if model.opset < PAD_OPSET:
        raise RefusalError(
            f"Pad of operator set {model.opset}", f"convert the model to operator set {PAD_OPSET} or later", "opset"
        )
    extra = list(node.input[3:])
    del node.input[2:]
    node.input.extend(["fill_index", *extra])
    return {"fill_index": np.array(fill_index, np.int64)}


def in_place(shape: Sequence[int]) -> Indices:
    """Returns the flat index of each element of a value with that shape."""
    return np.arange(np.prod(shape), dtype=np.int64).reshape(shape)


def match(index: Indices, x: Tensor, shape: tuple[int, int, int]) -> Movement:
    """Returns the movement from `x` to [C, H, W] of `shape`; `index` holds flat indices into x, negative for padding.

    Raises
    ------
    RefusalError
        A coordinate of the output depends on more than one coordinate of the input.
    """
    wanted = index.reshape(shape)
    valid = wanted >= 0
    if not valid.any():
        return _nothing(shape)
    sources = np.unravel_index(np.where(valid, wanted, 0), x.shape)
    for swapped in (False, True):
        order = (0, 2, 1) if swapped else (0, 1, 2)
        channels, rows, columns = (_along(valid, sources[axis], place) for place, axis in enumerate(order))
        movement = Movement(channels, rows, columns, swapped)
        if np.array_equal(np.where(valid, wanted, -1), expand(movement, x)):
            return movement
    raise _mixes(x, shape)


def match_pixels(index: Indices, x: Tensor, shape: tuple[int, int, int]) -> PixelMovement:
    """Returns the movement of whole pixels from `x`; the parameters are those of `match`.

    Raises
    ------
    RefusalError
        A pixel of the output takes its channels from different pixels of the input, or a channel from several.
    """
    wanted = index.reshape(shape[0], -1)
    area = x.shape[1] * x.shape[2]
    channels = np.where(wanted >= 0, wanted // area, -1).max(axis=1)
    places = np.where(wanted >= 0, wanted % area, -1).max(axis=0)
    there = (channels[:, np.newaxis] >= 0) & (places >= 0)
    if not np.array_equal(np.where(there, channels[:, np.newaxis] * area + places, -1), np.maximum(wanted, -1)):
        raise _mixes(x, shape)
    return PixelMovement(channels.astype(np.int32), places.reshape(shape[1:]).astype(np.int32))


def _mixes(x: Tensor, shape: tuple[int, int, int]) -> RefusalError:
    return RefusalError(
        f"it moves {list(x.shape)} to {list(shape)} in a way that mixes channels with rows or columns",
        "choose channels, rows and columns one by one, swap rows with columns, or leave it to the end of the network, "
        "where the host does it",
    )


def _nothing(shape: tuple[int, int, int]) -> Movement:
    """Returns a movement whose result is only padding."""
    channels, rows, columns = (np.zeros(extent, np.int32) for extent in shape)
    return Movement(channels - 1, rows, columns)


def _along(valid: NDArray[np.bool_], source: Indices, axis: int) -> NDArray[np.int32]:
    """Returns the source coordinate for each output coordinate along `axis`, -1 if there is none."""
    others = tuple(other for other in range(3) if other != axis)
    return np.where(valid, source, -1).max(axis=others).astype(np.int32)


def expand(movement: Movement, x: Tensor) -> Indices:
    """Returns the flat index into `x` of each element of a movement's result, -1 for padding."""
    c = movement.channels.astype(np.int64)[:, np.newaxis, np.newaxis]
    i, j = movement.rows.astype(np.int64)[:, np.newaxis], movement.columns.astype(np.int64)
    rows, columns = (j, i) if movement.swapped else (i, j)
    there = (c >= 0) & (rows >= 0) & (columns >= 0)
    return np.where(there, (c * x.shape[1] + rows) * x.shape[2] + columns, -1)
