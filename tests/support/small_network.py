"""A network small enough for tests, built like the large ones."""

from arrayloom.host.models.networks.blueprint import Blueprint, Builder
from arrayloom.host.models.networks.network_base import FloatNetwork, QuantizedNetwork
from arrayloom.host.models.networks.network_classes import Classifier
from arrayloom.host.models.networks.specs import Spec


def small_blueprint(classes: int = 5) -> Blueprint:
    """[N, 3, 32, 32] to logits; a residual block with normalization, a convolution with bias, features [12, 1, 1]."""
    b = Builder("small", 32, 32)
    x = b.relu(b.batch_norm(b.conv(b.image, "conv1", 8, 3, stride=2, padding=1, bias=False), "bn1"))
    x = b.max_pool(x, "maxpool", 2, 2)
    y = b.batch_norm(b.conv(x, "block.conv", 8, 3, padding=1, bias=False), "block.bn")
    x = b.relu(b.add(y, x, "block.add"))
    x = b.relu(b.conv(x, "conv2", 12, 1))
    features = b.global_average_pool(x, "avgpool")
    logits = b.linear(b.flatten(features, "flatten"), "fc", classes)
    return b.finish([("logits", logits)], features, "fc")


SMALL = Spec("small", "a small network", small_blueprint, 5, "cifar10", None)


class Small(FloatNetwork, Classifier):
    specs = (SMALL,)


class QuantizedSmall(QuantizedNetwork, Classifier):
    specs = (SMALL,)
