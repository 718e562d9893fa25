"""Splits movements that mix channels with rows or columns into simple ones: stacked groups of channels, each a sum of parts.

Each part holds its own elements and the padding byte elsewhere. The sum of the parts, minus the padding byte for all but one
of them, is therefore exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend.movement import Indices, Movement, PixelMovement, match, match_pixels
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import Tensor

MOST_PARTS = 64  # each part is a pass over the whole result


@dataclass(frozen=True)
class Group:
    """Some channels of the result.

    Attributes
    ----------
    channels
        Their indices, in the order in which the parts have them.
    parts
        The movements whose results are added.
    """

    channels: NDArray[np.int64]
    parts: tuple[Movement | PixelMovement, ...]


def find_union(index: Indices, x: Tensor, shape: tuple[int, int, int]) -> list[Group]:
    """Returns groups that together hold every channel of `shape` once; the parameters are those of `movement.match`.

    Raises
    ------
    RefusalError
        More than `MOST_PARTS` parts would be necessary.
    """
    wanted = index.reshape(shape)
    groups: list[Group] = []
    for channels in _alike(_positions(wanted, x), axis=0):
        count = sum(len(group.parts) for group in groups)
        groups.append(Group(channels, tuple(_parts(wanted[channels], x, MOST_PARTS - count))))
    return groups


def _positions(wanted: Indices, x: Tensor) -> Indices:
    """Returns int[C, H * W]: the source pixel of each element or -1; channels with equal rows form a group.

    If a channel of the result takes elements from several channels, all rows are equal, so that all channels form one group.
    """
    flat = wanted.reshape(wanted.shape[0], -1)
    source = np.where(flat >= 0, flat // (x.shape[1] * x.shape[2]), -1)
    alone = np.where(flat >= 0, source, source.max(axis=1, keepdims=True)) == source.max(axis=1, keepdims=True)
    if not alone.all():
        return np.zeros((len(flat), 1), np.int64)
    return np.where(flat >= 0, flat % (x.shape[1] * x.shape[2]), -1)


def _alike(values: Indices, axis: int) -> list[NDArray[np.int64]]:
    """Returns the indices along `axis` of a matrix, grouped by equal content, in the order of the first of each group.

    Raises
    ------
    RefusalError
        There are more than `MOST_PARTS` groups.
    """
    rows = np.ascontiguousarray(values if axis == 0 else values.T)
    kinds: dict[bytes, list[int]] = {}
    for place, row in enumerate(rows):
        kinds.setdefault(row.tobytes(), []).append(place)
        if len(kinds) > MOST_PARTS:
            raise _too_many()
    return [np.array(places) for places in kinds.values()]


def _parts(wanted: Indices, x: Tensor, most: int) -> list[Movement | PixelMovement]:
    """Returns movements whose sum is `wanted`, [C, H, W].

    Each moves pixels that have the same source channels, and channels that have the same source pixels.
    """
    flat, area = wanted.reshape(wanted.shape[0], -1), x.shape[1] * x.shape[2]
    parts: list[Movement | PixelMovement] = []
    for pixels in _alike(np.where(flat >= 0, flat // area, -1), axis=1):
        chosen = np.full_like(flat, -1)
        chosen[:, pixels] = flat[:, pixels]
        for channels in _alike(np.where(chosen >= 0, chosen % area, -1), axis=0):
            if (chosen[channels] < 0).all():
                continue
            if len(parts) == most:
                raise _too_many()
            part = np.full_like(flat, -1)
            part[channels] = chosen[channels]
            parts.append(_simple(part.reshape(wanted.shape), x))
    return parts or [match(wanted, x, _shape(wanted))]


def _simple(wanted: Indices, x: Tensor) -> Movement | PixelMovement:
    try:
        return match(wanted, x, _shape(wanted))
    except RefusalError:
        return match_pixels(wanted, x, _shape(wanted))


def _shape(wanted: Indices) -> tuple[int, int, int]:
    channels, height, width = wanted.shape
    return channels, height, width


def _too_many() -> RefusalError:
    return RefusalError(
        f"it mixes channels with rows or columns in a way that takes more than {MOST_PARTS} passes",
        "choose channels, rows and columns one by one, swap rows with columns, or leave it to the end of the network, "
        "where the host does it",
    )


def in_order(groups: Sequence[Group]) -> NDArray[np.int32] | None:
    """Returns the index of each channel in the stacked groups, or None if they are already in order."""
    stacked = np.concatenate([group.channels for group in groups])
    return None if np.array_equal(stacked, np.arange(len(stacked))) else np.argsort(stacked).astype(np.int32)
