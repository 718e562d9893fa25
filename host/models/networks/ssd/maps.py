"""SSD's outputs by name, as the network gives them, and by position, as they are decoded."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures.ssd import BOXES, LABELS, output_name

OUTPUTS = tuple(output_name(label, place) for label in LABELS for place in range(len(BOXES)))
"""The twelve names: six maps of class logits, then six of boxes."""


def by_position(outputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Each [N, boxes * depth, H, W] as [N, H, W, boxes, depth], in the order of `OUTPUTS`."""
    return [_by_position(outputs[name], boxes) for name, boxes in zip(OUTPUTS, (*BOXES, *BOXES), strict=True)]


def _by_position(values: NDArray[Any], boxes: int) -> NDArray[np.float32]:
    count, channels, height, width = values.shape
    split = values.reshape(count, boxes, channels // boxes, height, width)
    return np.ascontiguousarray(split.transpose(0, 3, 4, 1, 2), np.float32)
