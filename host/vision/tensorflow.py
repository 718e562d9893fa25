"""TensorFlow 1's bilinear resizing, as networks of that time were evaluated with it.

`align_corners=False` without half-pixel centres and without antialiasing: output pixel i lies at i * size / new size of
the input (tensorflow/core/kernels/image/resize_bilinear_op.cc). All arithmetic is float32.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.image import Pixels
from arrayloom.host.vision.resize import require_size

Floats = NDArray[np.float32]

SMALLEST_SIDE = 256


class _Taps(NamedTuple):
    """Of each output position along an axis: the two neighbours, and the weight of the second."""

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weight: Floats


def resize_bilinear(image: Pixels, height: int, width: int, half_pixel: bool = False) -> Floats:
    """uint8 [H, W, C] to float32 [height, width, C]; ``half_pixel``: pixels have their centres at a half, as in torch.

    Raises ``RecipeError`` for a size beyond `MAX_PIXELS`.
    """
    require_size(image, height, width)
    rows, columns = _taps(image.shape[0], height, half_pixel), _taps(image.shape[1], width, half_pixel)
    weight = columns.weight[:, np.newaxis]
    top, bottom = (_blend(image[row][:, columns.lower], image[row][:, columns.upper], weight)
                   for row in (rows.lower, rows.upper))
    return _blend(top, bottom, rows.weight[:, np.newaxis, np.newaxis])


def _blend(first: NDArray[np.uint8] | Floats, second: NDArray[np.uint8] | Floats, weight: Floats) -> Floats:
    start = first.astype(np.float32)
    return start + (second.astype(np.float32) - start) * weight


def _taps(length: int, new_length: int, half_pixel: bool) -> _Taps:
    scale = np.float32(length) / np.float32(new_length)
    places = np.arange(new_length, dtype=np.float32)
    if half_pixel:
        places = np.maximum((places + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    else:
        places = places * scale
    lower = np.minimum(np.floor(places).astype(np.intp), length - 1)
    return _Taps(lower, np.minimum(lower + 1, length - 1), places - lower.astype(np.float32))


@dataclass(frozen=True)
class SlimResize:
    """The smaller side to 256, the other one in proportion, then the centre: TF-Slim's evaluation of VGG and ResNet.

    Sizes are truncated after a float32 product. A crop that would reach beyond the image makes it larger first, so that
    ``height`` x ``width`` pixels come out whatever is asked for.
    """

    height: int
    width: int

    def __call__(self, image: Pixels) -> Floats:
        height, width = image.shape[:2]
        scale = np.float32(SMALLEST_SIDE) / np.float32(min(height, width))
        sides = [int(np.float32(side) * scale) for side in (height, width)]
        short = max(self.height / sides[0], self.width / sides[1])
        if short > 1:
            wanted = (self.height, self.width)
            sides = [max(least, round(side * short)) for side, least in zip(sides, wanted, strict=True)]
        resized = resize_bilinear(image, sides[0], sides[1])
        top, left = (sides[0] - self.height) // 2, (sides[1] - self.width) // 2
        return resized[top : top + self.height, left : left + self.width]


@dataclass(frozen=True)
class PlainResize:
    """To ``height`` x ``width``, whatever the aspect ratio; ``half_pixel`` as in `resize_bilinear`."""

    height: int
    width: int
    half_pixel: bool = False

    def __call__(self, image: Pixels) -> Floats:
        return resize_bilinear(image, self.height, self.width, self.half_pixel)
