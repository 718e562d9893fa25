"""Resizing and cropping of uint8 [H, W, 3] images, in the two ways used to evaluate published weights.

`ResizeShortest`, `ResizeTo` and `center_crop` resample as Pillow does, with antialiasing, to the sizes of torchvision's
transforms (`Resize` with one integer, `CenterCrop`).

`SlimResize` and `PlainResize` resample as TensorFlow 1 does: bilinear, `align_corners=False`, without half-pixel centres
and without antialiasing, so that output pixel i lies at i * size / new size of the input
(tensorflow/core/kernels/image/resize_bilinear_op.cc). All of that arithmetic is float32.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from arrayloom.host.vision.decode import MAX_PIXELS, Pixels
from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.geometry import Geometry, crop_offsets

Floats = NDArray[np.float32]
Resampling = Image.Resampling

SLIM_SHORTER_SIDE = 256


class Resize(Protocol):
    """A rule that gives an image a new size."""

    def __call__(self, image: Pixels) -> Pixels | Floats:
        """Return the image in its new size: from uint8 [H, W, 3] to uint8, or to float32 if values are not rounded."""
        ...

    def place(self, height: int, width: int, /) -> Geometry:
        """Where an image of this size is in the result."""
        ...


@dataclass(frozen=True)
class ResizeShortest:
    """Bilinear, the shorter side to `size` pixels, the longer one in proportion and rounded down."""

    size: int

    def __call__(self, image: Pixels) -> Pixels:
        return _resample(image, *self.place(*image.shape[:2]).canvas, Resampling.BILINEAR)

    def place(self, height: int, width: int) -> Geometry:
        shorter = min(height, width)
        return Geometry.stretched(self.size * height // shorter, self.size * width // shorter)


@dataclass(frozen=True)
class ResizeTo:
    """To `height` x `width` pixels, whatever the aspect ratio, with Pillow's filter `resampling`."""

    height: int
    width: int
    resampling: Resampling

    def __call__(self, image: Pixels) -> Pixels:
        return _resample(image, self.height, self.width, self.resampling)

    def place(self, _height: int, _width: int) -> Geometry:
        return Geometry.stretched(self.height, self.width)


def center_crop(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Cut `size` x `size` pixels from the middle, as `CenterCrop` does."""
    top, left = crop_offsets(image.shape, size)
    return image[top : top + size, left : left + size]


def require_size(image: Pixels, height: int, width: int) -> None:
    """Raises `RecipeError` if resizing the image to this size would exceed `MAX_PIXELS`."""
    if height * width > MAX_PIXELS:
        raise RecipeError(
            f"an image of {image.shape[1]} x {image.shape[0]} pixels would be resized to {width} x {height}, more than "
            f"the {MAX_PIXELS:,} pixels accepted; crop it to a less extreme aspect ratio first"
        )


def _resample(image: Pixels, height: int, width: int, resampling: Resampling) -> Pixels:
    require_size(image, height, width)
    return np.asarray(Image.fromarray(image).resize((width, height), resampling))


class _Taps(NamedTuple):
    """For each output position along an axis, the two neighbours and the weight of the second."""

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    weight: Floats


def resize_bilinear(image: Pixels, height: int, width: int, half_pixel: bool = False) -> Floats:
    """uint8 [H, W, C] to float32 [height, width, C]; ``half_pixel``: half-pixel centres, as in torch.

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
    """Resizes the smaller side to 256, the other in proportion, then crops the centre: TF-Slim's evaluation of VGG and
    ResNet.

    Sizes are truncated after a float32 product. If the crop is larger than the image, the image is enlarged first,
    so the result always has ``height`` x ``width`` pixels.
    """

    height: int
    width: int

    def __call__(self, image: Pixels) -> Floats:
        place = self.place(*image.shape[:2])
        resized = resize_bilinear(image, place.height, place.width)
        return resized[-place.top : self.height - place.top, -place.left : self.width - place.left]

    def place(self, height: int, width: int) -> Geometry:
        scale = np.float32(SLIM_SHORTER_SIDE) / np.float32(min(height, width))
        sides = [int(np.float32(side) * scale) for side in (height, width)]
        short = max(self.height / sides[0], self.width / sides[1])
        if short > 1:
            wanted = (self.height, self.width)
            sides = [max(least, round(side * short)) for side, least in zip(sides, wanted, strict=True)]
        top, left = (sides[0] - self.height) // 2, (sides[1] - self.width) // 2
        return Geometry((self.height, self.width), -top, -left, sides[0], sides[1])


@dataclass(frozen=True)
class PlainResize:
    """To ``height`` x ``width``, whatever the aspect ratio; ``half_pixel`` as in `resize_bilinear`."""

    height: int
    width: int
    half_pixel: bool = False

    def __call__(self, image: Pixels) -> Floats:
        return resize_bilinear(image, self.height, self.width, self.half_pixel)

    def place(self, _height: int, _width: int) -> Geometry:
        return Geometry.stretched(self.height, self.width)
