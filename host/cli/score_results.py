"""What ``arrayloom score`` says about each image: classes by the network or by a head, or boxes with classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.heads import Head
from arrayloom.host.models.networks.ssd import OUTPUTS, VOC_CLASSES, Detections, by_position, postprocess
from arrayloom.host.runtime.boundary import InputError
from arrayloom.host.vision.classify import Ranked, rank

Outputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Located(Ranked):
    """A class and where it is seen; ``box``: ymin, xmin, ymax, xmax as parts of the image."""

    box: tuple[float, float, float, float]


def by_network(outputs: Outputs, names: Sequence[str], count: int, labels: list[str] | None,
               threshold: float) -> list[list[Ranked]]:
    """Of each image of a batch the ``count`` best; ``names`` of the model's outputs in order.

    ``threshold``: least confidence of a box, for a detector. Raises ``InputError`` for labels that do not fit.
    """
    if set(names) == set(OUTPUTS):
        found = postprocess(by_position(outputs), threshold)
        return [_located(each, count, labels or list(VOC_CLASSES)) for each in found]
    return [rank(row, count, labels) for row in outputs[names[0]]]


def by_head(head: Head, features: NDArray[Any], count: int) -> list[list[Ranked]]:
    """The same by a head on features [N, 1, 1, C]."""
    return [rank(row, count, head.labels) for row in head(features)]


def lines(entries: Sequence[Ranked]) -> list[str]:
    """The classes of one image as lines for people."""
    return [f"  {entry.confidence:7.2%}  {entry.label}{_place(entry)}" for entry in entries] or ["  nothing found"]


def _place(entry: Ranked) -> str:
    return "  at " + ", ".join(f"{side:.3f}" for side in entry.box) if isinstance(entry, Located) else ""


def _located(found: Detections, count: int, labels: list[str]) -> list[Ranked]:
    if len(found.classes) and int(found.classes.max()) >= len(labels):
        raise InputError(f"{len(labels)} labels, and class {int(found.classes.max())} was found; give a file with one label "
                         "a class, the background first")
    return [Located(int(index), labels[index], float(score), tuple(np.round(box, 6).tolist()))
            for index, score, box in zip(found.classes[:count], found.scores[:count], found.boxes[:count], strict=True)]
