"""From the twelve outputs of SSD300 to what is seen where."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.networks.errors import NetworkError
from arrayloom.host.models.networks.ssd.anchors import anchors
from arrayloom.host.models.networks.ssd.boxes import clip_bboxes, decode_bboxes, suppress_bboxes
from arrayloom.host.runtime.boundary import softmax

Floats = NDArray[np.float32]

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
"""Pascal VOC's in the order of the outputs."""

MAPS = 6
BACKGROUND = 0
BEST = 400
"""Boxes that non-maximum suppression looks at."""


class Detections(NamedTuple):
    """Of one image, best first: ``classes`` int64 [n] (1 to 20), ``scores`` float32 [n], ``boxes`` float32 [n, 4] as ymin,
    xmin, ymax, xmax in 0..1."""

    classes: NDArray[np.int64]
    scores: Floats
    boxes: Floats


def postprocess(outputs: Sequence[NDArray[Any]], select_threshold: float = 0.5, nms_threshold: float = 0.45,
                top: int = BEST, clip_anchors: bool = True) -> list[Detections]:
    """The twelve outputs, six maps of class logits [N, H, W, boxes, classes] and six of boxes [N, H, W, boxes, 4], to the
    detections of each image.

    ``select_threshold``: least probability of a class; ``nms_threshold``: overlap beyond which the lesser box of a class
    goes; ``top``: boxes that are kept for that, best first. Raises ``NetworkError`` for outputs or thresholds that cannot
    be.
    """
    _check(outputs, select_threshold, nms_threshold, top)
    logits, offsets = outputs[:MAPS], outputs[MAPS:]
    bases = anchors([each.shape[1] for each in logits], clip_anchors)
    return [_suppressed(select_bboxes(*_flat([each[i] for each in logits], [each[i] for each in offsets], bases),
                                      select_threshold, top), nms_threshold) for i in range(len(logits[0]))]


def select_bboxes(probabilities: Floats, boxes: Floats, threshold: float = 0.5, top: int = BEST) -> Detections:
    """Every class but the background of every box that is more probable than ``threshold``, the ``top`` best.

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
