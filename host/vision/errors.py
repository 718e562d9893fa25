"""Errors of images, of recipes and of labels."""

from arrayloom.isa.errors import ArrayloomError


class ImageError(ArrayloomError):
    """An image cannot be read, decoded or accepted, or a drawing cannot be written."""


class RecipeError(ArrayloomError):
    """A recipe is unknown, or does not fit the image or the model's input."""


class LabelError(ArrayloomError):
    """A file of labels cannot be read, or does not hold one label for each class."""


class DetectionError(ArrayloomError):
    """Outputs are not those of a detector, or not of the named one."""
