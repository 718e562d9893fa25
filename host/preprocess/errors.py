"""Errors of preprocessing."""

from isa.errors import WeftError


class ImageError(WeftError):
    """An image cannot be read, decoded or accepted."""


class RecipeError(WeftError):
    """A recipe is unknown, or does not fit the image or the model's input."""
