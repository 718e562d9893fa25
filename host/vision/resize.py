"""Geometry of preprocessing: resizing and cropping of uint8 [H, W, 3] images.

Resampling is Pillow's, with antialiasing (`tensorflow` has the other one); the sizes are computed as torchvision does
(`Resize` with one integer, `CenterCrop`), whose transforms the published weights were evaluated with.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.image import MAX_PIXELS, Pixels

Resampling = Image.Resampling


class Resize(Protocol):
    """A rule that gives an image a new size."""

    def __call__(self, image: Pixels) -> Pixels | NDArray[np.float32]:
        """Return the image in its new size: uint8 [H, W, 3] in, and out uint8, or float32 where values are not rounded."""
        ...


@dataclass(frozen=True)
class ResizeShortest:
    """Bilinear, the shorter side to `size` pixels, the longer one in proportion and rounded down."""

    size: int

    def __call__(self, image: Pixels) -> Pixels:
        height, width = image.shape[:2]
        shorter = min(height, width)
        return _resample(image, self.size * height // shorter, self.size * width // shorter, Resampling.BILINEAR)


@dataclass(frozen=True)
class ResizeTo:
    """To `height` x `width` pixels, whatever the aspect ratio, with Pillow's filter `resampling`."""

    height: int
    width: int
    resampling: Resampling

    def __call__(self, image: Pixels) -> Pixels:
        return _resample(image, self.height, self.width, self.resampling)


def center_crop(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Cut `size` x `size` pixels from the middle; offsets are rounded half to even, as `CenterCrop` does."""
    top, left = (round((side - size) / 2) for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def require_size(image: Pixels, height: int, width: int) -> None:
    """Raises `RecipeError` where resizing the image to this size would go beyond `MAX_PIXELS`."""
    if height * width > MAX_PIXELS:
        raise RecipeError(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels would be resized to {width} x {height}, more than "
            f"the {MAX_PIXELS:,} pixels accepted; crop it to a less extreme aspect ratio first"
        )


def _resample(image: Pixels, height: int, width: int, resampling: Resampling) -> Pixels:
    require_size(image, height, width)
    return np.asarray(Image.fromarray(image).resize((width, height), resampling))
