"""Converts image files to a network's input tensor: decoding, and named recipes for resizing and normalization."""

from arrayloom.host.vision.decode import MAX_PIXELS, ImageSource, images_in, load_image
from arrayloom.host.vision.errors import ImageError, RecipeError
from arrayloom.host.vision.known_recipes import recipe, recipes
from arrayloom.host.vision.preprocessing import preprocess, preprocess_array
from arrayloom.host.vision.recipe_type import Channels, Recipe, input_size

__all__ = [
    "MAX_PIXELS",
    "Channels",
    "ImageError",
    "ImageSource",
    "Recipe",
    "RecipeError",
    "images_in",
    "input_size",
    "load_image",
    "preprocess",
    "preprocess_array",
    "recipe",
    "recipes",
]
