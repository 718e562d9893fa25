"""From an image file to the tensor that a network takes: decoding, and named recipes of resizing and normalization."""

from host.preprocess.array import preprocess_array
from host.preprocess.errors import ImageError, RecipeError
from host.preprocess.image import MAX_PIXELS, ImageSource, load_image
from host.preprocess.recipe import Channels, Recipe
from host.preprocess.registry import preprocess, recipe, recipes

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
