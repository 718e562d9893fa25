"""`preprocess_array`: encoded images to the array that clients of the original service sent."""

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.errors import RecipeError
from arrayloom.host.vision.image import ImageSource, load_image
from arrayloom.host.vision.recipe import Channels, Recipe
from arrayloom.host.vision.registry import SLIM_MEAN
from arrayloom.host.vision.tensorflow import PlainResize, SlimResize

ORDERS = ("RGB", "BGR")


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
    chosen = _recipe(order, scaling_factor, output_height, output_width, preserve_aspect_ratio)
    tensors = np.concatenate([chosen.apply(load_image(source)) for source in sources])
    return np.ascontiguousarray(tensors.transpose(0, 2, 3, 1))


def _recipe(order: str, scale: float, height: int, width: int, preserve: bool) -> Recipe:
    mean = SLIM_MEAN if order == "RGB" else SLIM_MEAN[::-1]
    resize = SlimResize(height, width) if preserve else PlainResize(height, width)
    return Recipe("preprocess_array", "as its arguments say", resize, channels=Channels(order), mean=mean, scale=scale)
