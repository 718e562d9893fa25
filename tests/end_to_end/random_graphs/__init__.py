"""Random int8 QOperator graphs: generator, inputs, and a shrinker for those that fail."""

from .generator import generate
from .inputs import random_inputs
from .shrink import shrink

__all__ = ["generate", "random_inputs", "shrink"]
