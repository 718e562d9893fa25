"""The positions at which YOLO's heads predict: maps whose strides double from one to the next."""

import numpy as np
from numpy.typing import NDArray

USUAL = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32))
"""Strides of published YOLO networks: three heads, with P6, with P2."""

FIRST = (1, 2, 4, 8, 16, 32, 64)
MOST_HEADS = 6


def positions(size: tuple[int, int], strides: tuple[int, ...]) -> int:
    """Number of positions of all maps together, for an input of ``size``."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)


def is_usual(count: int, size: tuple[int, int]) -> bool:
    """Whether a network with common strides predicts at that many positions."""
    return any(count == positions(size, strides) for strides in USUAL)


def find_strides(count: int, size: tuple[int, int]) -> tuple[int, ...] | None:
    """The doubling strides that give ``count`` positions, common ones first; None if there are none."""
    others = (tuple(first << level for level in range(heads)) for heads in range(1, MOST_HEADS + 1) for first in FIRST)
    return next((strides for strides in (*USUAL, *others) if positions(size, strides) == count), None)


def grid(height: int, width: int) -> NDArray[np.float32]:
    """x and y of every position of one map in raster order, [height * width, 2]."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float32)
