"""A recipe: how pixels become the tensor that a network was trained on."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.image import Pixels
from arrayloom.host.vision.resize import Resize, center_crop


class Channels(Enum):
    """Which channels the tensor has, in order."""

    RGB = "RGB"
    BGR = "BGR"
    GREY = "grey"


@dataclass(frozen=True)
class Recipe:
    """Resize, centre crop, choose channels, then (pixel / divisor - mean) / std * scale in float32, rounded in this order.

    Parameters: `name`, what the recipe is chosen by; `description`, one line for listings; `resize`, or None to keep
    the size; `crop`, the side of the centre crop in pixels, or None; `channels` of the tensor, in order; `divisor`;
    `mean` and `std`, which hold one value, or one for each channel of the tensor; `scale`.
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

    def apply(self, image: Pixels, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Turn an image into a network's input.

        Parameters: `image`, uint8 [H, W, 3] in RGB order; `dtype`, the type of the network's input: float32, or, where
        the recipe leaves pixels as they are, uint8 (the pixel) or int8 (the pixel minus 128).
        Returns: [1, C, H', W'] of that type.
        Raises: `RecipeError` for another kind of image or another type.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise RecipeError(
                f"an image must be uint8 [H, W, 3], not {image.dtype} {list(image.shape)}; use load_image"
            )
        wanted = np.dtype(dtype)
        pixels = np.ascontiguousarray(self._pixels(image)[np.newaxis])
        if wanted == np.float32:
            return self._normalize(pixels)
        if not self.keeps_pixels or wanted not in (np.uint8, np.int8):
            raise RecipeError(self._type_mismatch(wanted))
        return pixels if wanted == np.uint8 else (pixels ^ np.uint8(0x80)).view(np.int8)

    @property
    def keeps_pixels(self) -> bool:
        """Whether values stay 0..255, so that an integer input can take them."""
        return self.divisor == self.scale == 1 and set(self.mean) == {0.0} and set(self.std) == {1.0}

    def _pixels(self, image: Pixels) -> NDArray[Any]:
        """Return [C, H', W'], uint8, or float32 where the resizing makes that."""
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
        remedy = "" if self.keeps_pixels else "; a uint8 or int8 input takes the recipe none"
        return f"recipe {self.name} makes {made}, but the model's input is {wanted}{remedy}"
