"""Errors of preprocessing."""

from arrayloom.isa.errors import ArrayloomError


class ImageError(ArrayloomError):
    """An image cannot be read, decoded or accepted."""


class RecipeError(ArrayloomError):
    """A recipe is unknown, or does not fit the image or the model's input."""
