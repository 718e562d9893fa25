"""Boxes as numbers: decoding against anchors, overlap, non-maximum suppression.

A box is ymin, xmin, ymax, xmax as parts of the image, 0 to 1 inside it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Of x, y, width and height: what a box's numbers are multiplied by."""


def decode_bboxes(offsets: NDArray[Any], anchors: NDArray[Any]) -> Floats:
    """Offsets [..., 4] (x, y, width, height) from anchors [..., 4] (centre y, centre x, height, width) to boxes [..., 4]."""
    x, y, width, height = (offsets[..., i].astype(np.float32) * np.float32(VARIANCES[i]) for i in range(4))
    centre_y, centre_x, base_height, base_width = (anchors[..., i] for i in range(4))
    centre_y, centre_x = y * base_height + centre_y, x * base_width + centre_x
    half_height, half_width = (base * np.exp(each) / 2 for base, each in ((base_height, height), (base_width, width)))
    return np.stack([centre_y - half_height, centre_x - half_width, centre_y + half_height, centre_x + half_width], axis=-1)


def clip_bboxes(boxes: Floats) -> Floats:
    """The boxes' parts inside the image."""
    return boxes.clip(0, 1)


def iou(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box [4] with others [n, 4]; 0 where both are empty."""
    top, left = np.maximum(box[0], others[:, 0]), np.maximum(box[1], others[:, 1])
    bottom, right = np.minimum(box[2], others[:, 2]), np.minimum(box[3], others[:, 3])
    shared = np.maximum(bottom - top, 0) * np.maximum(right - left, 0)
    union = _area(box) + _area(others) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _area(boxes: Floats) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def suppress_bboxes(classes: NDArray[np.int64], boxes: Floats, threshold: float) -> NDArray[np.int64]:
    """Indices, in order, of the boxes that stay: those that overlap no better one of their class by more than
    ``threshold``. The boxes come best first."""
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        same = classes[left] == classes[best]
        left = left[~(same & (iou(boxes[best], boxes[left]) > threshold))]
    return np.array(kept, np.int64)
