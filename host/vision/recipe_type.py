"""A recipe: how an image becomes a network's input tensor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from arrayloom.host.vision.decode import Pixels
from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.geometry import Geometry
from arrayloom.host.vision.resize import Resize, center_crop

_CHANNELS = (1, 3)

PIXEL_RECIPES = ("none", "yolo", "yolox", "ssd", "ssd-mobilenet")
"""Names of the recipes that give pixels to an 8-bit input, for messages."""

Encoding = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Quantizes real values to a network's 8-bit input."""


class Channels(Enum):
    """The channels of the tensor, in order."""

    RGB = "RGB"
    BGR = "BGR"
    GREY = "grey"


@dataclass(frozen=True)
class Recipe:
    """Resize, centre crop, choose channels, then (pixel / divisor - mean) / std * scale in float32, rounded in this order.

    Parameters: `name`, by which the recipe is chosen; `description`, one line for listings; `resize`, or None to keep
    the size; `crop`, the side of the centre crop in pixels, or None; `channels` of the tensor, in order; `divisor`;
    `mean` and `std`, which hold one value, or one for each channel of the tensor; `scale`; `fit`, which makes the
    `resize` for the model's height and width (`fitted`); `normalizes_floats_only`: an integer input gets the
    pixels, because such a network normalizes them itself.
    """

    name: str
    description: str
    resize: Resize | None = None
    crop: int | None = None
    channels: Channels = Channels.RGB
    divisor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    fit: Callable[[int, int], Resize] | None = None
    normalizes_floats_only: bool = False

    def fitted(self, height: int, width: int) -> Self:
        """The recipe for a model's input of this size; unchanged if its size does not depend on the model."""
        return self if self.fit is None else replace(self, resize=self.fit(height, width), fit=None)

    def for_input(self, shape: Sequence[int | str | None]) -> Self:
        """The recipe for the shape that a model declares for its input, [N, C, H, W] or [N, H, W, C].

        Raises `RecipeError` if the recipe needs the height and width but they are free, or the input is not an image.
        """
        if self.fit is None:
            return self
        size = input_size(shape)
        if size is None:
            wanted = ", ".join(map(str, shape))
            raise RecipeError(f"recipe {self.name} makes the model's height and width, but the model's input is [{wanted}]; "
                              "fix them in the model, or choose another recipe")
        return self.fitted(*size)

    def geometry(self, height: int, width: int) -> Geometry:
        """Where an image of this size is in the tensor; raises `RecipeError` before `fitted`."""
        self._require_size()
        place = Geometry.stretched(height, width) if self.resize is None else self.resize.place(height, width)
        return place if self.crop is None else place.cropped(self.crop)

    def apply(self, image: Pixels, dtype: DTypeLike = np.float32, encode: Encoding | None = None) -> NDArray[Any]:
        """Turn an image into a network's input.

        Parameters: `image`, uint8 [H, W, 3] in RGB order; `dtype`, the type of the network's input: float32, uint8 or
        int8; `encode`, for an 8-bit input, the network's quantization. If the recipe leaves pixels unchanged,
        uint8 is the pixel, rounded after resizing, and int8 is the pixel minus 128; other recipes need `encode`
        for 8-bit inputs.
        Returns: [1, C, H', W'] of that type.
        Raises: `RecipeError` for another kind of image or another type, and before `fitted` where that is needed.
        """
        self._require_size()
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise RecipeError(
                f"an image must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}; use load_image"
            )
        wanted = np.dtype(dtype)
        pixels = np.ascontiguousarray(self._pixels(image)[np.newaxis])
        if wanted == np.float32:
            return self._normalize(pixels)
        if not self.keeps_pixels and encode is not None and wanted in (np.uint8, np.int8):
            return encode(self._normalize(pixels))
        if not self.keeps_pixels or wanted not in (np.uint8, np.int8):
            raise RecipeError(self._type_mismatch(wanted))
        whole = pixels if pixels.dtype == np.uint8 else np.rint(pixels).clip(0, 255).astype(np.uint8)
        return whole if wanted == np.uint8 else (whole ^ np.uint8(0x80)).view(np.int8)

    def apply_for(self, image: Pixels, shape: Sequence[int | str | None], dtype: DTypeLike = np.float32,
                  encode: Encoding | None = None) -> NDArray[Any]:
        """Like `apply`, with the size and the channel order of an input of ``shape``, if the recipe can produce them."""
        tensor = self.for_input(shape).apply(image, dtype, encode)
        return np.ascontiguousarray(tensor.transpose(0, 2, 3, 1)) if is_channels_last(shape) else tensor

    @property
    def keeps_pixels(self) -> bool:
        """Whether values stay 0..255 for an integer input."""
        return self.normalizes_floats_only or (self.divisor == self.scale == 1 and set(self.mean) == {0.0}
                                               and set(self.std) == {1.0})

    def _require_size(self) -> None:
        if self.fit is not None:
            raise RecipeError(f"recipe {self.name} makes the size of the model's input, which is not known here; give it, "
                              f"as in recipe({self.name!r}).fitted(640, 640)")

    def _pixels(self, image: Pixels) -> NDArray[Any]:
        """Return [C, H', W'], uint8, or float32 if the resizing returns that."""
        resized: NDArray[Any] = image if self.resize is None else self.resize(image)
        if self.crop is not None:
            resized = center_crop(resized, self.crop)
        if self.channels is Channels.GREY:
            return np.asarray(Image.fromarray(resized).convert("L"))[np.newaxis]
        planes = resized.transpose(2, 0, 1)
        return planes[::-1] if self.channels is Channels.BGR else planes

    def _normalize(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (self.mean, self.std))
        return (pixels.astype(np.float32) / np.float32(self.divisor) - mean) / std * np.float32(self.scale)

    def _type_mismatch(self, wanted: np.dtype[Any]) -> str:
        made = "float32, uint8 or int8" if self.keeps_pixels else "float32"
        remedy = "" if self.keeps_pixels else f"; a uint8 or int8 input takes a recipe of pixels: {', '.join(PIXEL_RECIPES)}"
        return f"recipe {self.name} makes {made}, but the model's input is {wanted}{remedy}"


def input_size(shape: Sequence[int | str | None]) -> tuple[int, int] | None:
    """Height and width of a model's input [N, C, H, W] or [N, H, W, C]; None if they are free, or it is not an image."""
    if len(shape) != 4:
        return None
    height, width = shape[1:3] if is_channels_last(shape) else shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0 else None


def is_channels_last(shape: Sequence[int | str | None]) -> bool:
    """Whether a model's input has its one or three channels at the end, and not before height and width."""
    return len(shape) == 4 and shape[3] in _CHANNELS and shape[1] not in _CHANNELS
