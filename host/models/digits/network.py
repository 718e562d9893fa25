"""The digits network: a ResNet of three blocks for 8x8 grey images, without batch normalization."""

import numpy as np

from arrayloom.host.models.digits.layers import Conv, GlobalAveragePool, Linear, Relu, Residual, Sequential

CLASSES = 10

_BRANCH_GAIN = 0.1
"""Scale of the last weights of a branch at the start: blocks begin near the identity, as normalization would see to."""


def digits_resnet(rng: np.random.Generator) -> Sequential:
    """Build the network with random weights: [B, 8, 8, 1] to logits [B, 1, 1, 10]."""
    return Sequential(
        Conv(rng, 1, 16),
        Relu(),
        _block(rng, 16, 16),
        _block(rng, 16, 32, stride=2),
        _block(rng, 32, 32),
        GlobalAveragePool(),
        Linear(rng, 32, CLASSES),
    )


def _block(rng: np.random.Generator, c_in: int, c_out: int, stride: int = 1) -> Residual:
    branch = Sequential(Conv(rng, c_in, c_out, stride=stride), Relu(), Conv(rng, c_out, c_out, gain=_BRANCH_GAIN))
    same_shape = stride == 1 and c_in == c_out
    return Residual(branch, Sequential() if same_shape else Sequential(Conv(rng, c_in, c_out, kernel=1, stride=stride)))
