"""Boxes as decoders give them, and as they are after the selection; a box is ymin, xmin, ymax, xmax."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.errors import DetectionError

Floats = NDArray[np.float32]

LARGEST_PART = 1.5
"""Coordinates of which none is larger are parts of the input; larger ones are its pixels."""

PROBABILITY_SLACK = 0.01
"""How far the rounding of int8 networks may carry a probability beyond 0 and 1."""


class Detections(NamedTuple):
    """Of one image, best first: ``classes`` int64 [n], ``scores`` float32 [n], ``boxes`` float32 [n, 4] as ymin, xmin, ymax,
    xmax in 0..1."""

    classes: NDArray[np.int64]
    scores: Floats
    boxes: Floats


class Candidates(NamedTuple):
    """All boxes of a batch before the selection, whatever the detector.

    ``boxes``: float32 [N, A, 4] as parts of the network's input; ``scores``: float32 [N, A]; ``classes``: int64 [N, A];
    ``class_count``: how many classes the network knows, or None where its outputs do not tell; ``background``: whether
    class 0 is the background, which is never found; ``suppressed``: whether the network suppressed overlapping boxes itself.
    """

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]
    class_count: int | None
    background: bool = False
    suppressed: bool = False


def best_class(scores: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Scores of classes [N, A, C] to the best one's [N, A] and its class [N, A]; NaN wins, so that the box is dropped."""
    classes = scores.argmax(axis=-1)
    return np.take_along_axis(scores, classes[..., np.newaxis], -1)[..., 0], classes.astype(np.int64)


def from_centres(values: Floats, size: tuple[int, int], pixels: bool | None = None) -> Floats:
    """Centre x, centre y, width, height [..., 4] to boxes as parts of an input of ``size``.

    ``pixels``: whether they are in its pixels or in its parts; None: as their values tell.
    """
    x, y, width, height = np.moveaxis(values, -1, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=-1)
    return _in_parts(corners, size, exceed_parts(values) if pixels is None else pixels)


def from_corners(values: Floats, size: tuple[int, int], y_first: bool = False) -> Floats:
    """Corners xmin, ymin, xmax, ymax [..., 4], or y first, in pixels or in parts of the input, to boxes in its parts."""
    return _in_parts(values if y_first else values[..., [1, 0, 3, 2]], size, exceed_parts(values))


def exceed_parts(values: Floats) -> bool:
    """Whether coordinates are too large for parts of the input, and so are its pixels."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.max() > LARGEST_PART)


def _in_parts(corners: Floats, size: tuple[int, int], pixels: bool) -> Floats:
    return (corners / np.array([*size, *size], np.float32) if pixels else corners).astype(np.float32)


def require_probabilities(scores: Floats, name: str, detector: str) -> None:
    """Raises ``DetectionError`` where finite scores of output ``name`` lie outside 0..1."""
    finite = scores[np.isfinite(scores)]
    if finite.size and (finite.max() > 1 + PROBABILITY_SLACK or finite.min() < -PROBABILITY_SLACK):
        raise DetectionError(f"output {name!r}: its scores lie between {finite.min():.4g} and {finite.max():.4g}, but those "
                             f"of {detector} are probabilities; choose another detector (--detector), or export the network "
                             "with its sigmoid")
