"""Whether every layer of a quantized network computes something."""

from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures import INPUT
from arrayloom.host.models.networks.errors import NetworkError
from arrayloom.host.runtime.reference import Reference

Array = NDArray[Any]

SATURATED = 0.5
"""Share of a tensor at its upper limit beyond which a layer counts as saturated."""


class Liveness(NamedTuple):
    """Of the integer tensors of a network: how many, the one with the fewest values used of 256, and that number; the one
    with the largest share at its upper limit, and that share."""

    tensors: int
    poorest: str
    values_used: int
    fullest: str
    saturated: float


def check_alive(model: onnx.ModelProto, images: Array) -> Liveness:
    """``images`` [N, C, H, W], at least two; every tensor must differ within an image and between images.

    Raises ``NetworkError`` naming the tensor that is constant, the same for all images, or saturated.
    """
    reference = Reference(model)
    runs = [_integers(reference, image[np.newaxis]) for image in images[:2]]
    used = {name: len(np.unique(value)) for name, value in runs[0].items()}
    full = {name: float((value == np.iinfo(value.dtype).max).mean()) for name, value in runs[0].items()}
    for name, value in runs[0].items():
        if used[name] == 1 and value.size > 1:
            raise NetworkError(f"tensor {name}: every element has the same value; its layer is dead; take another seed")
        if full[name] > SATURATED and value.size > 1:
            raise NetworkError(f"tensor {name}: {full[name]:.0%} of it is at its upper limit; its layer is saturated, so "
                               "another seed or other calibration images are needed")
        if value.size > 1 and np.array_equal(value, runs[1][name]):
            raise NetworkError(f"tensor {name}: is the same for two images; its layer is dead; take another seed")
    poorest, fullest = min(used, key=lambda name: used[name]), max(full, key=lambda name: full[name])
    return Liveness(len(used), poorest, used[poorest], fullest, full[fullest])


def _integers(reference: Reference, image: Array) -> dict[str, Array]:
    return {name: value for name, value in reference.run_all({INPUT: image}).items() if value.dtype in (np.uint8, np.int8)}
