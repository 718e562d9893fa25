"""Letterboxes: resize a picture in proportion to a detector's input, and fill the rest with grey.

`Letterbox` is Ultralytics' (`LetterBox` of ultralytics/data/augment.py), `CornerLetterbox` YOLOX' (`preproc` of
yolox/data/data_augment.py). Both resample bilinearly with half-pixel centres and without antialiasing, as OpenCV's
INTER_LINEAR does, and round to whole numbers; OpenCV's fixed-point weights may cause a difference of 1.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from arrayloom.host.vision.decode import Pixels
from arrayloom.host.vision.geometry import Geometry
from arrayloom.host.vision.resize import resize_bilinear

GREY = 114


@dataclass(frozen=True)
class _Box(ABC):
    """Resizes a picture in proportion into a frame of ``height`` x ``width``; ``place`` determines the position."""

    height: int
    width: int

    def __call__(self, image: Pixels) -> Pixels:
        return _framed(image, self.place(*image.shape[:2]))

    @abstractmethod
    def place(self, height: int, width: int) -> Geometry:
        """Where a picture of that size is placed."""

    def _scale(self, height: int, width: int) -> float:
        return min(self.height / height, self.width / width)


class Letterbox(_Box):
    """Fits into ``height`` x ``width``, in the middle, sides rounded; an odd pixel goes below or to the right."""

    def place(self, height: int, width: int) -> Geometry:
        scale = self._scale(height, width)
        inner = [max(1, round(side * scale)) for side in (height, width)]
        top, left = (round((outer - side) / 2 - 0.1) for outer, side in zip((self.height, self.width), inner, strict=True))
        return Geometry((self.height, self.width), top, left, inner[0], inner[1])


class CornerLetterbox(_Box):
    """Fits into ``height`` x ``width``, in the upper left corner, sides rounded down."""

    def place(self, height: int, width: int) -> Geometry:
        scale = self._scale(height, width)
        inner = [max(1, int(side * scale)) for side in (height, width)]
        return Geometry((self.height, self.width), 0, 0, inner[0], inner[1])


def _framed(image: Pixels, place: Geometry) -> Pixels:
    resized = image
    if image.shape[:2] != (place.height, place.width):
        levels = resize_bilinear(image, place.height, place.width, half_pixel=True)
        resized = np.floor(levels + np.float32(0.5)).astype(np.uint8)
    framed = np.full((*place.canvas, 3), GREY, np.uint8)
    framed[place.top:place.top + place.height, place.left:place.left + place.width] = resized
    return framed
