"""VGG-16 (Simonyan and Zisserman, 2014), configuration D."""

from collections.abc import Sequence

from arrayloom.host.models.networks.architectures.blueprint import Blueprint
from arrayloom.host.models.networks.architectures.builder import Builder, Value

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the 3x3 convolutions of each stage; a 2x2 pooling ends a stage."""


def vgg16(classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [4096], behind fc7's Relu."""
    b = Builder("vgg16", 224, 224)
    x, position = b.image, 0
    for widths in STAGES:
        x, position = convolutions(b, x, widths, "features", position)
        x = b.max_pool(x, f"features.{position}", 2, 2)
        position += 1
    x = b.relu(b.linear(b.flatten(x, "flatten"), "classifier.0", 4096))
    features = b.relu(b.linear(x, "classifier.3", 4096))
    logits = b.linear(features, "classifier.6", classes)
    return b.finish([("logits", logits)], features, "classifier.6")


def convolutions(b: Builder, x: Value, widths: Sequence[int], prefix: str, position: int) -> tuple[Value, int]:
    """3x3 convolutions, each with its Relu; ``position``: that of the first in the sequential module ``prefix``.

    Returns the value and the position behind the last Relu.
    """
    for width in widths:
        x = b.relu(b.conv(x, f"{prefix}.{position}", width, 3, padding=1))
        position += 2
    return x, position
