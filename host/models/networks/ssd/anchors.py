"""The default boxes of SSD300 (Liu et al., 2015) at every position of its six maps."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

IMAGE = 300
SIZES = ((21, 45), (45, 99), (99, 153), (153, 207), (207, 261), (261, 315))
"""Of each map, in pixels: side of the smaller square box; the larger one's is the geometric mean of both."""

_NARROW, _WIDE = (2, 1 / 2), (2, 1 / 2, 3, 1 / 3)
RATIOS = (_NARROW, _WIDE, _WIDE, _WIDE, _NARROW, _NARROW)
"""Width over height of each map's further boxes."""

STEPS = (8, 16, 32, 64, 100, 300)
"""Pixels between neighbouring positions."""

OFFSET = 0.5


def anchors(sides: Sequence[int], clip: bool = True) -> list[NDArray[np.float32]]:
    """Of each map [H, W, boxes, 4]: centre y, centre x, height, width, as parts of the image.

    ``sides`` of the six maps. ``clip``: no box is wider or higher than the image, as torchvision's weights were trained;
    the service re-created did without, which changes two boxes of the last map.
    """
    maps = zip(sides, SIZES, RATIOS, STEPS, strict=True)
    return [_of_map(side, sizes, ratios, step, clip) for side, sizes, ratios, step in maps]


def _of_map(side: int, sizes: tuple[int, int], ratios: tuple[float, ...], step: int, clip: bool) -> NDArray[np.float32]:
    small, next_small = sizes
    large = math.sqrt(small * next_small)
    shapes = [(small, small), (large, large), *((small / math.sqrt(ratio), small * math.sqrt(ratio)) for ratio in ratios)]
    extents = np.array(shapes) / IMAGE
    result = np.empty((side, side, len(shapes), 4), np.float32)
    centres = (np.arange(side) + OFFSET) * step / IMAGE
    result[..., 0] = centres[:, np.newaxis, np.newaxis]
    result[..., 1] = centres[np.newaxis, :, np.newaxis]
    result[..., 2:] = extents.clip(0, 1) if clip else extents
    return result
