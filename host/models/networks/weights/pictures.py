"""Seeded pictures with the statistics of photographs: what random weights are scaled and calibrated on."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COARSEST = 3


def pictures(count: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """uint8 [count, height, width, 3]: noise whose amplitude falls as its frequency grows, each picture from 0 to 255."""
    rng = np.random.default_rng(seed)
    return np.stack([_picture(rng, height, width) for _ in range(count)])


def _picture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    total = np.zeros((height, width, 3), np.float32)
    cells = COARSEST
    while cells <= max(height, width):
        grid = rng.normal(0, 1 / cells, (3, cells, cells)).astype(np.float32)
        planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR) for plane in grid]
        total += np.stack([np.asarray(plane) for plane in planes], axis=2)
        cells *= 2
    low, high = total.min(), total.max()
    return np.rint((total - low) * (255 / (high - low))).astype(np.uint8)
