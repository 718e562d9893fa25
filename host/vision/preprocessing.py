"""From encoded images to the tensor that a network takes: recipes, those known by name, and the calls that apply them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from arrayloom.host.vision.decode import ImageSource, Pixels, load_image
from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.geometry import Geometry
from arrayloom.host.vision.letterbox import CornerLetterbox, Letterbox
from arrayloom.host.vision.resize import PlainResize, Resampling, Resize, ResizeShortest, ResizeTo, SlimResize, center_crop

# Per-channel statistics of ImageNet's training images, RGB, as published with torchvision's models.
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

SLIM_MEAN = (123.68, 116.779, 103.939)
"""Mean of ImageNet's pixels, RGB, as TF-Slim's networks of VGG's kind subtract it."""

DENSENET_SCALE = 0.017

ORDERS = ("RGB", "BGR")
"""Orders of channels that `preprocess_array` takes."""


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
    `mean` and `std`, which hold one value, or one for each channel of the tensor; `scale`; `fit`, which makes the `resize`
    to a height and a width where those are the model's own (`fitted`); `normalizes_floats_only`: an integer input gets the
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
        """The recipe for a model's input of this size; itself where its size does not depend on the model."""
        return self if self.fit is None else replace(self, resize=self.fit(height, width), fit=None)

    def for_input(self, shape: Sequence[int | str | None]) -> Self:
        """The recipe for the shape that a model declares for its input, [N, C, H, W].

        Raises `RecipeError` where the recipe needs its height and width and they are free, or the input is no image.
        """
        if self.fit is None:
            return self
        height, width = shape[2:] if len(shape) == 4 else (None, None)
        if not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
            wanted = ", ".join(map(str, shape))
            raise RecipeError(f"recipe {self.name} makes the model's height and width, but the model's input is [{wanted}]; "
                              "fix them in the model, or choose another recipe")
        return self.fitted(height, width)

    def geometry(self, height: int, width: int) -> Geometry:
        """Where an image of this size lies in the tensor; raises `RecipeError` before `fitted`."""
        self._require_size()
        place = Geometry.stretched(height, width) if self.resize is None else self.resize.place(height, width)
        return place if self.crop is None else place.cropped(self.crop)

    def apply(self, image: Pixels, dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Turn an image into a network's input.

        Parameters: `image`, uint8 [H, W, 3] in RGB order; `dtype`, the type of the network's input: float32, or, where
        the recipe leaves pixels as they are, uint8 (the pixel) or int8 (the pixel minus 128).
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
        if not self.keeps_pixels or wanted not in (np.uint8, np.int8):
            raise RecipeError(self._type_mismatch(wanted))
        return pixels if wanted == np.uint8 else (pixels ^ np.uint8(0x80)).view(np.int8)

    @property
    def keeps_pixels(self) -> bool:
        """Whether values stay 0..255 for an integer input, so that it can take them."""
        return self.normalizes_floats_only or (self.divisor == self.scale == 1 and set(self.mean) == {0.0}
                                               and set(self.std) == {1.0})

    def _require_size(self) -> None:
        if self.fit is not None:
            raise RecipeError(f"recipe {self.name} makes the size of the model's input, which is not known here; give it, "
                              f"as in recipe({self.name!r}).fitted(640, 640)")

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


_RECIPES = (
    Recipe(
        name="imagenet",
        description="shorter side to 256, centre crop 224x224, RGB, /255, ImageNet's mean and deviation (torchvision)",
        resize=ResizeShortest(256),
        crop=224,
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    ),
    Recipe(
        name="imagenet-caffe",
        description="resize to 256x256, centre crop 227x227, BGR 0..255 minus 104, 117, 123 (Caffe; SqueezeNet 1.0)",
        resize=ResizeTo(256, 256, Resampling.BILINEAR),
        crop=227,
        channels=Channels.BGR,
        mean=(104, 117, 123),
    ),
    Recipe(
        name="cifar10",
        description="shorter side to 32, centre crop 32x32, RGB, /255, ImageNet's mean and deviation (ResNet-20)",
        resize=ResizeShortest(32),
        crop=32,
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
    ),
    Recipe(
        name="digits",
        description="mean over blocks to 8x8, grey, /255: bright strokes on a dark ground (the digits network)",
        resize=ResizeTo(8, 8, Resampling.BOX),
        channels=Channels.GREY,
        divisor=255,
    ),
    Recipe(
        name="slim",
        description="smaller side to 256 by TensorFlow 1's bilinear, centre 224x224, RGB minus 123.68, 116.779, 103.939",
        resize=SlimResize(224, 224),
        mean=SLIM_MEAN,
    ),
    Recipe(
        name="slim-densenet",
        description="as slim, times 0.017 (DenseNet)",
        resize=SlimResize(224, 224),
        mean=SLIM_MEAN,
        scale=DENSENET_SCALE,
    ),
    Recipe(
        name="slim-ssd",
        description="to 300x300 by TensorFlow 1's bilinear, RGB minus 123.68, 116.779, 103.939 (SSD300)",
        resize=PlainResize(300, 300),
        mean=SLIM_MEAN,
    ),
    Recipe(
        name="ssd300",
        description="to 300x300 by bilinear without antialiasing, RGB minus 123, 117, 104 (torchvision's SSD300)",
        resize=PlainResize(300, 300, half_pixel=True),
        divisor=255,
        mean=(0.48235, 0.45882, 0.40784),
        std=(1 / 255,),
    ),
    Recipe(
        name="yolo",
        description="letterboxed to the model's size, grey 114 around, RGB, /255; uint8 inputs: 0..255 (Ultralytics' YOLO)",
        fit=Letterbox,
        divisor=255,
        normalizes_floats_only=True,
    ),
    Recipe(
        name="yolox",
        description="to the model's size in its upper left corner, grey 114 beside, BGR 0..255 (YOLOX)",
        fit=CornerLetterbox,
        channels=Channels.BGR,
    ),
    Recipe(
        name="ssd",
        description="stretched to the model's size, RGB, /255, ImageNet's mean and deviation; uint8 inputs: 0..255 (SSD)",
        fit=partial(PlainResize, half_pixel=True),
        divisor=255,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        normalizes_floats_only=True,
    ),
    Recipe(
        name="ssd-mobilenet",
        description="stretched to the model's size, RGB from -1 to 1; uint8 inputs: 0..255 (SSD on MobileNet, SSDLite)",
        fit=partial(PlainResize, half_pixel=True),
        divisor=255,
        mean=(0.5,),
        std=(0.5,),
        normalizes_floats_only=True,
    ),
    Recipe(name="none", description="the image as it is: RGB 0..255 (int8 inputs: minus 128), no resizing"),
)
_BY_NAME = {recipe.name: recipe for recipe in _RECIPES}


def recipes() -> tuple[Recipe, ...]:
    """Return every recipe, in the order of listings."""
    return _RECIPES


def recipe(name: str) -> Recipe:
    """Return the recipe of this name; raises `RecipeError`, which lists the known names."""
    if name not in _BY_NAME:
        raise RecipeError(f"unknown recipe {name!r}; known are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def preprocess(
    source: ImageSource,
    recipe_name: str,
    input_shape: Sequence[int | str | None] | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Turn one encoded image into a network's input.

    Parameters: `source`, path or encoded bytes; `recipe_name`, one of `recipes()`; `input_shape`, the shape that the
    model declares for its input, in which anything but a positive integer is a free dimension; `dtype`, see
    `Recipe.apply`.
    Returns: [1, C, H, W] of `dtype`.
    Raises: `ImageError` for the image, `RecipeError` for the recipe or where its result does not fit the model.
    """
    chosen = recipe(recipe_name)
    if input_shape is not None:
        chosen = chosen.for_input(input_shape)
    tensor = chosen.apply(load_image(source), dtype)
    if input_shape is not None and not _fits(tensor.shape, input_shape):
        wanted = ", ".join(str(extent) for extent in input_shape)
        raise RecipeError(
            f"recipe {chosen.name} makes {list(tensor.shape)}, but the model's input is [{wanted}]; "
            + ("choose another recipe" if chosen.resize else "resize the image first or choose another recipe")
        )
    return tensor


def _fits(shape: tuple[int, ...], declared: Sequence[int | str | None]) -> bool:
    return len(shape) == len(declared) and all(
        extent == wanted or not isinstance(wanted, int) or wanted <= 0
        for extent, wanted in zip(shape, declared, strict=True)
    )


def preprocess_array(images: ImageSource | Sequence[ImageSource], order: str = "RGB", scaling_factor: float = 1.0,
                     output_height: int = 224, output_width: int = 224,
                     preserve_aspect_ratio: bool = True) -> NDArray[np.float32]:
    """Encoded images to float32 [N, output_height, output_width, 3]; what it returns, a featurizer takes.

    TensorFlow 1's bilinear resizing; with the aspect ratio preserved the smaller side becomes 256, truncating, and the
    centre is cut out, whatever size is asked for; otherwise the image is resized plainly. Then the channels' means are
    subtracted and the result is multiplied by ``scaling_factor`` (0.017 for DenseNet).

    Parameters: `images`, one image or several, each a path or the encoded bytes; `order`, RGB or BGR, of the channels.
    Raises: `ImageError` for an image, `RecipeError` for the other arguments.
    """
    if order not in ORDERS:
        raise RecipeError(f"order {order!r}: unknown; known are {', '.join(ORDERS)}")
    for name, value in (("output_height", output_height), ("output_width", output_width)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise RecipeError(f"{name} {value!r}: must be a whole number of pixels, at least 1")
    if not np.isfinite(scaling_factor):
        raise RecipeError(f"scaling_factor {scaling_factor!r}: must be a finite number")
    sources = [images] if isinstance(images, bytes | str | os.PathLike) else list(images)
    if not sources:
        raise RecipeError("no images given; give at least one")
    chosen = _array_recipe(order, scaling_factor, output_height, output_width, preserve_aspect_ratio)
    tensors = np.concatenate([chosen.apply(load_image(source)) for source in sources])
    return np.ascontiguousarray(tensors.transpose(0, 2, 3, 1))


def _array_recipe(order: str, scale: float, height: int, width: int, preserve: bool) -> Recipe:
    mean = SLIM_MEAN if order == "RGB" else SLIM_MEAN[::-1]
    resize = SlimResize(height, width) if preserve else PlainResize(height, width)
    return Recipe("preprocess_array", "as its arguments say", resize, channels=Channels(order), mean=mean, scale=scale)
