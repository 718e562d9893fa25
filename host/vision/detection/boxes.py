"""Boxes before and after the selection; a box is ymin, xmin, ymax, xmax."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.errors import DetectionError

Floats = NDArray[np.float32]

LARGEST_PART = 1.5
"""If no coordinate is larger, coordinates are fractions of the input; otherwise they are pixels."""

PROBABILITY_SLACK = 0.01
"""How far rounding in int8 networks may push a probability outside 0..1."""


class Detections(NamedTuple):
    """Detections of one image, best first: ``classes`` int64 [n], ``scores`` float32 [n], ``boxes`` float32 [n, 4] as ymin,
    xmin, ymax, xmax in 0..1."""

    classes: NDArray[np.int64]
    scores: Floats
    boxes: Floats


class Candidates(NamedTuple):
    """All boxes of a batch before the selection, for any detector.

    ``boxes``: float32 [N, A, 4] as fractions of the network's input; ``scores``: float32 [N, A]; ``classes``: int64 [N, A];
    ``class_count``: number of classes, or None if the outputs do not show it; ``background``: whether class
    0 is the background, which is never reported; ``suppressed``: whether the network suppressed overlapping boxes itself.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]
    class_count: int | None
    background: bool = False
    suppressed: bool = False


def best_class(scores: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """From class scores [N, A, C], the best score [N, A] and its class [N, A]; NaN wins, so that the box is dropped."""
    classes = scores.argmax(axis=-1)
    return np.take_along_axis(scores, classes[..., np.newaxis], -1)[..., 0], classes.astype(np.int64)


def from_centres(values: Floats, size: tuple[int, int], pixels: bool | None = None) -> Floats:
    """Converts centre x, centre y, width, height [..., 4] to boxes as fractions of an input of ``size``.

    ``pixels``: whether they are pixels rather than fractions; None: decided by their values.
    """
    x, y, width, height = np.moveaxis(values, -1, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=-1)
    return _in_parts(corners, size, exceed_parts(values) if pixels is None else pixels)


def from_corners(values: Floats, size: tuple[int, int], y_first: bool = False) -> Floats:
    """Converts corners xmin, ymin, xmax, ymax [..., 4], or y first, in pixels or fractions, to boxes as fractions."""
    return _in_parts(values if y_first else values[..., [1, 0, 3, 2]], size, exceed_parts(values))


def exceed_parts(values: Floats) -> bool:
    """Whether coordinates are too large for fractions of the input, and so are pixels."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.max() > LARGEST_PART)


def _in_parts(corners: Floats, size: tuple[int, int], pixels: bool) -> Floats:
    return (corners / np.array([*size, *size], np.float32) if pixels else corners).astype(np.float32)


def require_probabilities(scores: Floats, name: str, detector: str) -> None:
    """Raises ``DetectionError`` if finite scores of output ``name`` are outside 0..1."""
    finite = scores[np.isfinite(scores)]
    if finite.size and (finite.max() > 1 + PROBABILITY_SLACK or finite.min() < -PROBABILITY_SLACK):
        raise DetectionError(f"output {name!r}: its scores lie between {finite.min():.4g} and {finite.max():.4g}, but those "
                             f"of {detector} are probabilities; choose another detector (--detector), or export the network "
                             "with its sigmoid")
