"""SSD300's postprocessing on the CPU, from its twelve outputs to detections.

The outputs are rearranged by position; anchors (default boxes) and the network's offsets give boxes; the most probable are
selected, and non-maximum suppression keeps the best of those that overlap. A box is ymin, xmin, ymax, xmax as fractions of
the image, 0 to 1 inside it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.architectures import SSD_BOXES, SSD_OUTPUT_LABELS, ssd_output_name
from arrayloom.host.vision.detection.boxes import Detections
from arrayloom.host.vision.detection.selection import suppress_bboxes
from arrayloom.isa.host_steps import softmax

Floats = NDArray[np.float32]

OUTPUTS = tuple(ssd_output_name(label, place) for label in SSD_OUTPUT_LABELS for place in range(len(SSD_BOXES)))
"""The twelve names: six maps of class logits, then six of boxes."""

IMAGE = 300
SIZES = ((21, 45), (45, 99), (99, 153), (153, 207), (207, 261), (261, 315))
"""Side of each map's smaller square box in pixels; the larger one's side is the geometric mean of this and the next
map's."""

_NARROW, _WIDE = (2, 1 / 2), (2, 1 / 2, 3, 1 / 3)
RATIOS = (_NARROW, _WIDE, _WIDE, _WIDE, _NARROW, _NARROW)
"""Width over height of each map's further boxes."""

STEPS = (8, 16, 32, 64, 100, 300)
"""Pixels between neighbouring positions."""

OFFSET = 0.5

VARIANCES = (0.1, 0.1, 0.2, 0.2)
"""Factors of the offsets of x, y, width and height."""

MAPS = 6
BACKGROUND = 0
BEST = 400
"""Number of boxes considered by non-maximum suppression."""


def by_position(outputs: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """Rearranges each output [N, boxes * depth, H, W] to [N, H, W, boxes, depth], in the order of `OUTPUTS`."""
    return [_by_position(outputs[name], boxes) for name, boxes in zip(OUTPUTS, (*SSD_BOXES, *SSD_BOXES), strict=True)]


def _by_position(values: NDArray[Any], boxes: int) -> NDArray[np.float32]:
    count, channels, height, width = values.shape
    split = values.reshape(count, boxes, channels // boxes, height, width)
    return np.ascontiguousarray(split.transpose(0, 3, 4, 1, 2), np.float32)


def anchors(sides: Sequence[int], clip: bool = True) -> list[NDArray[np.float32]]:
    """Anchors of each map [H, W, boxes, 4]: centre y, centre x, height, width, as fractions of the image.

    ``sides``: of the six maps. ``clip``: limit boxes to the image's size, as in the training of torchvision's weights;
    the re-created service did not, which affects two boxes of the last map.
    """
    maps = zip(sides, SIZES, RATIOS, STEPS, strict=True)
    return [_of_map(side, sizes, ratios, step, clip) for side, sizes, ratios, step in maps]


def _of_map(side: int, sizes: tuple[int, int], ratios: tuple[float, ...], step: int, clip: bool) -> NDArray[np.float32]:
    small, next_small = sizes
    large = math.sqrt(small * next_small)
    shapes = [(small, small), (large, large), *((small / math.sqrt(ratio), small * math.sqrt(ratio)) for ratio in ratios)]
    extents = np.array(shapes) / IMAGE
    result = np.empty((side, side, len(shapes), 4), np.float32)
    centres = (np.arange(side) + OFFSET) * step / IMAGE
    result[..., 0] = centres[:, np.newaxis, np.newaxis]
    result[..., 1] = centres[np.newaxis, :, np.newaxis]
    result[..., 2:] = extents.clip(0, 1) if clip else extents
    return result


def decode_bboxes(offsets: NDArray[Any], anchors: NDArray[Any]) -> Floats:
    """Offsets [..., 4] (x, y, width, height) from anchors [..., 4] (centre y, centre x, height, width) to boxes [..., 4]."""
    x, y, width, height = (offsets[..., i].astype(np.float32) * np.float32(VARIANCES[i]) for i in range(4))
    centre_y, centre_x, base_height, base_width = (anchors[..., i] for i in range(4))
    centre_y, centre_x = y * base_height + centre_y, x * base_width + centre_x
    half_height, half_width = (base * np.exp(each) / 2 for base, each in ((base_height, height), (base_width, width)))
    return np.stack([centre_y - half_height, centre_x - half_width, centre_y + half_height, centre_x + half_width], axis=-1)


def clip_bboxes(boxes: Floats) -> Floats:
    """Clips boxes to the image."""
    return boxes.clip(0, 1)


def postprocess(outputs: Sequence[NDArray[Any]], select_threshold: float = 0.5, nms_threshold: float = 0.45,
                top: int = BEST, clip_anchors: bool = True) -> list[Detections]:
    """Converts the twelve outputs, six maps of class logits [N, H, W, boxes, classes] and six of boxes [N, H, W, boxes, 4],
    to the detections of each image.

    ``select_threshold``: lowest probability of a class; ``nms_threshold``: overlap above which the less probable box of a
    class is dropped; ``top``: number of boxes considered for that, best first. Raises ``NetworkError`` for invalid outputs
    or thresholds.
    """
    _check(outputs, select_threshold, nms_threshold, top)
    logits, offsets = outputs[:MAPS], outputs[MAPS:]
    bases = anchors([each.shape[1] for each in logits], clip_anchors)
    return [_suppressed(select_bboxes(*_flat([each[i] for each in logits], [each[i] for each in offsets], bases),
                                      select_threshold, top), nms_threshold) for i in range(len(logits[0]))]


def select_bboxes(probabilities: Floats, boxes: Floats, threshold: float = 0.5, top: int = BEST) -> Detections:
    """The ``top`` most probable pairs of box and class, without the background, above ``threshold``.

    ``probabilities``: [n, classes]; ``boxes``: [n, 4].
    """
    places, classes = np.nonzero(probabilities[:, BACKGROUND + 1:] > threshold)
    classes = classes + BACKGROUND + 1
    scores = probabilities[places, classes]
    best = np.argsort(-scores, kind="stable")[:top]
    return Detections(classes[best], scores[best], boxes[places[best]])


def _flat(logits: list[NDArray[Any]], offsets: list[NDArray[Any]], bases: list[Floats]) -> tuple[Floats, Floats]:
    """Probabilities [n, classes] and clipped boxes [n, 4] of all positions of one image."""
    scores = np.concatenate([each.reshape(-1, each.shape[-1]) for each in logits]).astype(np.float32)
    boxes = [decode_bboxes(each, base).reshape(-1, 4) for each, base in zip(offsets, bases, strict=True)]
    return softmax(scores, 1), clip_bboxes(np.concatenate(boxes))


def _suppressed(found: Detections, threshold: float) -> Detections:
    kept = suppress_bboxes(found.classes, found.boxes, threshold)
    return Detections(found.classes[kept], found.scores[kept], found.boxes[kept])


def _check(outputs: Sequence[NDArray[Any]], select_threshold: float, nms_threshold: float, top: int) -> None:
    for name, value in (("select_threshold", select_threshold), ("nms_threshold", nms_threshold)):
        if not 0 <= value <= 1:
            raise NetworkError(f"{name} {value}: must lie between 0 and 1")
    if top < 1:
        raise NetworkError(f"top {top}: must be at least 1")
    if len(outputs) != 2 * MAPS:
        raise NetworkError(f"{len(outputs)} outputs given; SSD has {2 * MAPS}: six maps of classes, then six of boxes")
    for place, (logits, offsets) in enumerate(zip(outputs[:MAPS], outputs[MAPS:], strict=True)):
        if logits.ndim != 5 or offsets.shape != (*logits.shape[:4], 4):
            raise NetworkError(f"map {place}: classes {list(logits.shape)} and boxes {list(offsets.shape)} given; [N, H, W, "
                               "boxes, classes] and [N, H, W, boxes, 4] belong together")
