"""Converts encoded images to a network's input tensor by applying recipes."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from arrayloom.host.vision.decode import ImageSource, load_image
from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.known_recipes import SLIM_MEAN, recipe
from arrayloom.host.vision.recipe_type import Channels, Encoding, Recipe
from arrayloom.host.vision.resize import PlainResize, SlimResize

ORDERS = ("RGB", "BGR")
"""Orders of channels that `preprocess_array` accepts."""


def preprocess(
    source: ImageSource,
    recipe_name: str,
    input_shape: Sequence[int | str | None] | None = None,
    dtype: DTypeLike = np.float32,
    encode: Encoding | None = None,
) -> NDArray[Any]:
    """Turn one encoded image into a network's input.

    Parameters: `source`, path or encoded bytes; `recipe_name`, one of `recipes()`; `input_shape`, the shape that the
    model declares for its input, in which anything but a positive integer is a free dimension; `dtype` and `encode`,
    see `Recipe.apply`.
    Returns: [1, C, H, W] of `dtype`, or [1, H, W, C] if the model has its channels last.
    Raises: `ImageError` for the image, `RecipeError` for the recipe or if its result does not fit the model.
    """
    chosen = recipe(recipe_name)
    if input_shape is None:
        return chosen.apply(load_image(source), dtype, encode)
    tensor = chosen.apply_for(load_image(source), input_shape, dtype, encode)
    if not _fits(tensor.shape, input_shape):
        wanted = ", ".join(str(extent) for extent in input_shape)
        raise RecipeError(
            f"recipe {chosen.name} makes {list(tensor.shape)}, but the model's input is [{wanted}]; "
            + ("choose another recipe" if chosen.resize or chosen.fit else "resize the image first or choose another recipe")
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
    """Converts encoded images to float32 [N, output_height, output_width, 3], the input of a featurizer.

    TensorFlow 1's bilinear resizing; with the aspect ratio preserved, the smaller side becomes 256 (the other is truncated)
    and the centre is cropped to the requested size; otherwise the image is resized directly. Then the channels' means are
    subtracted, and the result is multiplied by ``scaling_factor`` (0.017 for DenseNet).

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
        raise RecipeError("images: holds no image; give at least one")
    chosen = _array_recipe(order, scaling_factor, output_height, output_width, preserve_aspect_ratio)
    tensors = np.concatenate([chosen.apply(load_image(source)) for source in sources])
    return np.ascontiguousarray(tensors.transpose(0, 2, 3, 1))


def _array_recipe(order: str, scale: float, height: int, width: int, preserve: bool) -> Recipe:
    mean = SLIM_MEAN if order == "RGB" else SLIM_MEAN[::-1]
    resize = SlimResize(height, width) if preserve else PlainResize(height, width)
    return Recipe("preprocess_array", "as its arguments say", resize, channels=Channels(order), mean=mean, scale=scale)
