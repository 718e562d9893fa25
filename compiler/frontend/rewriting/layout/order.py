"""Layouts: a value may be stored with its dimensions in another order than in the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Order = tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How a value of the model follows from the stored value.

    Attributes
    ----------
    order
        Dimension i of the value is dimension `order[i]` of the stored value; the batch, 0, stays the first.
    unflattened
        None, or for a value [N, F] the dimensions after the batch to which the stored value, also [N, F], must be reshaped
        before it is transposed by `order` and flattened again.
    """

    order: Order
    unflattened: Shape | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the stored value is the value itself."""
        return self.unflattened is None and self.order == plain(len(self.order)).order

    def stored_shape(self, shape: Sequence[int]) -> Shape:
        """Returns the stored shape of a value with `shape`."""
        if self.unflattened is not None:
            return tuple(shape)
        return tuple(shape[axis] for axis in inverse(self.order))

    def without(self, axes: Sequence[int]) -> "Layout":
        """Returns the layout after the dimensions `axes` of the value were removed."""
        gone = sorted(self.order[axis] for axis in axes)
        kept = [axis for index, axis in enumerate(self.order) if index not in axes]
        return Layout(tuple(axis - sum(other < axis for other in gone) for axis in kept))

    def sources(self) -> NDArray[np.int64]:
        """Returns the index of the stored feature for each feature of a flattened value."""
        extents = self.unflattened or ()
        features = np.arange(np.prod(extents, dtype=np.int64)).reshape(extents)
        return features.transpose([axis - 1 for axis in self.order[1:]]).ravel()


def plain(rank: int) -> Layout:
    """Returns the layout of a value that is stored without change."""
    return Layout(tuple(range(rank)))


def inverse(order: Order) -> Order:
    """Returns the order that reverses `order`."""
    return tuple(int(axis) for axis in np.argsort(order))


def keeps_elements(shape: Sequence[int], order: Order) -> bool:
    """Whether a Transpose moves no element, because only dimensions of extent 1 change their positions."""
    long = [axis for axis in order if shape[axis] != 1]
    return long == sorted(long)


def mixes_channels(shape: Sequence[int], order: Order) -> bool:
    """Whether a Transpose does more than swap rows with columns, [..., H, W]."""
    swapped = (*range(len(order) - 2), len(order) - 1, len(order) - 2)
    return not keeps_elements(shape, order) and (len(order) < 4 or order != swapped)


def reshaped(sizes: Sequence[int], layout_axes: Sequence[int], target: Sequence[int]) -> tuple[Shape, Order] | None:
    """Converts a Reshape of a value to one of the stored value.

    Parameters
    ----------
    sizes
        Extents of the value after the batch.
    layout_axes
        The stored dimension of each.
    target
        Extents of the result after the batch.

    Returns
    -------
    tuple of Shape and Order, or None
        The extents after the batch to which the stored value is reshaped, and the order in which the result is then stored;
        None if the Reshape merges dimensions that are not adjacent in the stored value.
    """
    if 0 in target:
        return None
    long = [(size, axis) for size, axis in zip(sizes, layout_axes, strict=True) if size != 1]
    places = {axis: place for place, axis in enumerate(sorted(axis for _, axis in long))}
    groups = _groups([size for size, _ in long], target)
    starts = []
    for members, _ in groups:
        found = [places[long[member][1]] for member in members]
        if found != list(range(found[0], found[0] + len(found))):
            return None
        starts.append(found[0])
    stored = [axis for index in np.argsort(starts) for axis in groups[index][1]]
    stored = stored or list(range(len(target)))
    return tuple(target[axis] for axis in stored), (0, *(stored.index(axis) + 1 for axis in range(len(target))))


def _groups(sizes: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Returns the smallest groups of adjacent dimensions of both shapes with equal numbers of elements; `sizes` has no 1.

    A dimension of extent 1 in the target joins the group before it, or the first group.
    """
    groups: list[tuple[list[int], list[int]]] = []
    leading: list[int] = []
    left, right = 1, 1
    taken = 0
    for axis, extent in enumerate(target):
        if extent == 1:
            (groups[-1][1] if groups else leading).append(axis)
            continue
        if left == right:
            groups.append(([], [*leading]))
            leading, left, right = [], 1, 1
        groups[-1][1].append(axis)
        right *= extent
        while left < right:
            groups[-1][0].append(taken)
            left *= sizes[taken]
            taken += 1
    return groups
