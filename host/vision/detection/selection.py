"""Selects the boxes above a threshold that overlap no better box of their class (non-maximum suppression)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.detection.boxes import Candidates, Detections, Floats
from arrayloom.host.vision.errors import DetectionError
from arrayloom.host.vision.geometry import Geometry

MOST_BOXES = 300
"""Most boxes returned for one image."""

MOST_CANDIDATES = 30_000
"""Number of boxes of one image that the suppression considers, the most probable ones."""

FARTHEST = 100.0
"""Coordinates are limited to this many widths of the input, so that areas stay finite."""


def iou(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box [4] with others [n, 4]; 0 0 if both are empty."""
    top, left = np.maximum(box[0], others[:, 0]), np.maximum(box[1], others[:, 1])
    bottom, right = np.minimum(box[2], others[:, 2]), np.minimum(box[3], others[:, 3])
    shared = np.maximum(bottom - top, 0) * np.maximum(right - left, 0)
    union = _area(box) + _area(others) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _area(boxes: Floats) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def suppress_bboxes(classes: NDArray[np.int64], boxes: Floats, threshold: float,
                    most: int | None = None) -> NDArray[np.int64]:
    """Indices, in order, of the boxes to keep, at most ``most``: those that overlap no better box of their class
    by more than ``threshold``. The boxes are given best first."""
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) != most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        same = classes[left] == classes[best]
        left = left[~(same & (iou(boxes[best], boxes[left]) > threshold))]
    return np.array(kept, np.int64)


def check_thresholds(threshold: float, overlap: float) -> None:
    """Raises ``DetectionError`` unless both lie between 0 and 1."""
    for name, value in (("threshold", threshold), ("iou", overlap)):
        if not 0 <= value <= 1:
            raise DetectionError(f"{name} {value} (--{name}): must lie between 0 and 1")


def select(found: Candidates, index: int, threshold: float, overlap: float, geometry: Geometry) -> Detections:
    """The detections of image ``index`` of the batch, with boxes as fractions of the picture, clipped to it.

    ``threshold``: lower limit of a score; ``overlap``: the intersection over union above which the less confident box of a
    class is dropped; ``geometry``: where the picture is in the input. Boxes that are not finite, empty, or outside the
    picture are dropped.
    """
    boxes, scores, classes = found.boxes[index], found.scores[index], found.classes[index]
    usable = np.flatnonzero(np.isfinite(scores) & (scores > threshold) & np.isfinite(boxes).all(axis=-1))
    usable = usable[np.argsort(-scores[usable], kind="stable")]
    placed = geometry.undo(boxes[usable].clip(-FARTHEST, FARTHEST))
    seen = placed.clip(0, 1)
    inside = np.flatnonzero((seen[:, 2] > seen[:, 0]) & (seen[:, 3] > seen[:, 1]))[:MOST_CANDIDATES]
    usable, placed, seen = usable[inside], placed[inside], seen[inside]
    if found.suppressed:
        kept = np.arange(min(len(usable), MOST_BOXES))
    else:
        kept = suppress_bboxes(classes[usable], placed, overlap, MOST_BOXES)
    return Detections(classes[usable[kept]], scores[usable[kept]].clip(0, 1), seen[kept])
