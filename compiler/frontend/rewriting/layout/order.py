"""Orders of dimensions: a value may be stored with its dimensions in another order than the model has them in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Order = tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How a value of the model comes from what is stored in its place.

    Attributes
    ----------
    order
        Dimension i of the value is dimension `order[i]` of what is stored; the batch, 0, stays the first.
    unflattened
        None, or for a value [N, F] the dimensions after the batch that what is stored, [N, F] too, must be
        reshaped to before they are put in `order` and flattened again.
    """

    order: Order
    unflattened: Shape | None = None

    @property
    def is_plain(self) -> bool:
        """Whether what is stored is the value itself."""
        return self.unflattened is None and self.order == plain(len(self.order)).order

    def stored_shape(self, shape: Sequence[int]) -> Shape:
        """The shape in which a value of `shape` is stored."""
        if self.unflattened is not None:
            return tuple(shape)
        return tuple(shape[axis] for axis in inverse(self.order))

    def without(self, axes: Sequence[int]) -> "Layout":
        """The layout after dimensions of the value, `axes`, were removed."""
        gone = sorted(self.order[axis] for axis in axes)
        kept = [axis for index, axis in enumerate(self.order) if index not in axes]
        return Layout(tuple(axis - sum(other < axis for other in gone) for axis in kept))

    def sources(self) -> NDArray[np.int64]:
        """For a flattened value: which stored feature each of its features is."""
        extents = self.unflattened or ()
        features = np.arange(np.prod(extents, dtype=np.int64)).reshape(extents)
        return features.transpose([axis - 1 for axis in self.order[1:]]).ravel()


def plain(rank: int) -> Layout:
    """The layout of a value that is stored as it is."""
    return Layout(tuple(range(rank)))


def inverse(order: Order) -> Order:
    """The order that undoes `order`."""
    return tuple(int(axis) for axis in np.argsort(order))


def keeps_elements(shape: Sequence[int], order: Order) -> bool:
    """Whether a Transpose moves nothing: only dimensions of extent 1 change their places."""
    long = [axis for axis in order if shape[axis] != 1]
    return long == sorted(long)


def mixes_channels(shape: Sequence[int], order: Order) -> bool:
    """Whether a Transpose does more than to swap rows with columns, [..., H, W]."""
    swapped = (*range(len(order) - 2), len(order) - 1, len(order) - 2)
    return not keeps_elements(shape, order) and (len(order) < 4 or order != swapped)


def reshaped(sizes: Sequence[int], layout_axes: Sequence[int], target: Sequence[int]) -> tuple[Shape, Order] | None:
    """A Reshape of a value, done on what is stored in its place.

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
        The extents after the batch to which the stored value is reshaped, and the order that makes the result of it;
        None where the Reshape merges dimensions that do not lie side by side in the stored value.
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
    """The smallest runs of dimensions of both shapes with the same number of elements; `sizes` has no 1.

    A dimension of extent 1 of the target goes with the one before it, or else with the first group.
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
