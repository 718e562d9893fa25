"""What a network's outputs say about each image: its best classes, or boxes with classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from arrayloom.host.models.networks.ssd import OUTPUTS, VOC_CLASSES, by_position, postprocess
from arrayloom.host.vision.classify import Ranked, rank, rank_boxes


def rank_outputs(outputs: Mapping[str, NDArray[Any]], names: Sequence[str], count: int, labels: list[str] | None,
                 threshold: float) -> list[list[Ranked]]:
    """Of each image of a batch the ``count`` best; ``names`` of the model's outputs in order.

    ``threshold``: least confidence of a box, for a detector. Raises ``InputError`` for labels that do not fit.
    """
    if set(names) == set(OUTPUTS):
        found = postprocess(by_position(outputs), threshold)
        return [list(rank_boxes(*each, count, labels or VOC_CLASSES)) for each in found]
    return [rank(row, count, labels) for row in outputs[names[0]]]
