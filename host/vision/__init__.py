"""From an image file to the tensor that a network takes: decoding, and named recipes of resizing and normalization."""

from arrayloom.host.vision.decode import MAX_PIXELS, ImageSource, load_image
from arrayloom.host.vision.errors import ImageError, RecipeError
from arrayloom.host.vision.preprocessing import Channels, Recipe, preprocess, preprocess_array, recipe, recipes

__all__ = [
    "MAX_PIXELS",
    "Channels",
    "ImageError",
    "ImageSource",
    "Recipe",
    "RecipeError",
    "load_image",
    "preprocess",
    "preprocess_array",
    "recipe",
    "recipes",
]
