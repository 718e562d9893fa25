"""Movements that mix channels with rows or columns, as several that do not: stacked channels of sums of parts.

Each part holds its own elements and the padding byte elsewhere, so that the sum of the parts, less that byte for all but
one, is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend.movement import Indices, Movement, PixelMovement, match, match_pixels
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import Tensor

MOST_PARTS = 64  # each is a pass over the whole result


@dataclass(frozen=True)
class Group:
    """Some channels of the result.

    Attributes
    ----------
    channels
        Which, in the order in which the parts have them.
    parts
        Movements whose elements are joined.
    """

    channels: NDArray[np.int64]
    parts: tuple[Movement | PixelMovement, ...]


def find_union(index: Indices, x: Tensor, shape: tuple[int, int, int]) -> list[Group]:
    """Groups that hold every channel of `shape` once; arguments as of `movement.match`.

    Raises
    ------
    RefusalError
        It would take more than `MOST_PARTS` parts.
    """
    wanted = index.reshape(shape)
    groups: list[Group] = []
    for channels in _alike(_positions(wanted, x), axis=0):
        count = sum(len(group.parts) for group in groups)
        groups.append(Group(channels, tuple(_parts(wanted[channels], x, MOST_PARTS - count))))
    return groups


def _positions(wanted: Indices, x: Tensor) -> Indices:
    """[C, H * W]: the pixel of the source of each element, -1 for none, if channels can be told apart by it.

    Where a channel of the result takes from several channels, all channels stay together.
    """
    flat = wanted.reshape(wanted.shape[0], -1)
    source = np.where(flat >= 0, flat // (x.shape[1] * x.shape[2]), -1)
    alone = np.where(flat >= 0, source, source.max(axis=1, keepdims=True)) == source.max(axis=1, keepdims=True)
    if not alone.all():
        return np.zeros((len(flat), 1), np.int64)
    return np.where(flat >= 0, flat % (x.shape[1] * x.shape[2]), -1)


def _alike(values: Indices, axis: int) -> list[NDArray[np.int64]]:
    """Places along `axis` of a matrix that hold the same, in the order of their first.

    Raises
    ------
    RefusalError
        There are more than `MOST_PARTS` kinds.
    """
    rows = np.ascontiguousarray(values if axis == 0 else values.T)
    kinds: dict[bytes, list[int]] = {}
    for place, row in enumerate(rows):
        kinds.setdefault(row.tobytes(), []).append(place)
        if len(kinds) > MOST_PARTS:
            raise _too_many()
    return [np.array(places) for places in kinds.values()]


def _parts(wanted: Indices, x: Tensor, most: int) -> list[Movement | PixelMovement]:
    """Movements that join to `wanted`, [C, H, W]: pixels that take from the same channels, channels that take from the
    same pixels."""
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
    """For each channel its place in the stacked groups; None where they lie in order already."""
    stacked = np.concatenate([group.channels for group in groups])
    return None if np.array_equal(stacked, np.arange(len(stacked))) else np.argsort(stacked).astype(np.int32)
