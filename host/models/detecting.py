"""Boxes from a network's outputs: the project's own SSD and the detectors of ``arrayloom.host.vision.detection``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.networks.ssd import OUTPUTS, by_position, postprocess
from arrayloom.host.vision.class_names import BACKGROUND, VOC_CLASSES, fitted
from arrayloom.host.vision.classify import Located, rank_boxes
from arrayloom.host.vision.detection import MOST_BOXES, Detections, Detector, guess_detector, select
from arrayloom.host.vision.detection.boxes import Floats
from arrayloom.host.vision.detection.detectors import DEFAULT_IOU, decode, looks_ambiguous
from arrayloom.host.vision.detection.selection import check_thresholds
from arrayloom.host.vision.errors import DetectionError
from arrayloom.host.vision.geometry import Geometry

Outputs = Mapping[str, NDArray[Any]]

CLASSES_ONLY = "none"
"""The value of ``--detector`` for a network that is not a detector."""


class Detection(NamedTuple):
    """How boxes are found: the detector, height and width of the network's input, the overlap above which the less confident
    box is dropped, the position of each picture of a batch in the input (None: it fills it), and prior boxes, see
    ``decode_ssd``."""

    detector: Detector
    size: tuple[int, int]
    iou: float = DEFAULT_IOU
    geometries: Sequence[Geometry] | None = None
    priors: Floats | None = None


def choose_detector(shapes: Mapping[str, tuple[int, ...]], asked: str | None,
                    size: tuple[int, int] | None) -> Detector | None:
    """The requested detector, else the one that fits the outputs' names and shapes; None for a classifier.

    Raises ``DetectionError`` if a detector is requested but the network does not take one picture, and if
    the outputs fit several detectors.
    """
    if asked == CLASSES_ONLY:
        return None
    if asked is not None:
        if size is None:
            raise DetectionError(f"detector {asked} (--detector): the network does not take one picture [N, C, H, W] or "
                                 "[N, H, W, C]; leave it out")
        return Detector(asked)
    if size is None:
        return None
    if is_ssd_vgg(shapes):
        return Detector("ssd", True, f"the {len(OUTPUTS)} maps of SSD-VGG")
    if looks_ambiguous(shapes, size):
        ((name, shape),) = shapes.items()
        raise DetectionError(f"output {name!r} {list(shape)} may be YOLOX's, or YOLOv8's with its axes swapped; say which "
                             "with --detector (detector=) yolox or yolov8 (yolov5 for YOLOX with its decoding), or "
                             f"{CLASSES_ONLY} for a network that finds none")
    return guess_detector(shapes, size)


def is_ssd_vgg(outputs: Mapping[str, Any]) -> bool:
    """Whether the outputs are the maps of the project's own SSD-VGG."""
    return set(outputs) == set(OUTPUTS)


def locate(outputs: Outputs, detection: Detection, threshold: float, count: int | None,
           labels: Sequence[str] | None) -> list[list[Located]]:
    """For each image of a batch, the boxes with a confidence above ``threshold``, best first, at most ``count`` or 300.

    Raises ``DetectionError`` if the outputs do not fit the detector, ``LabelError`` for labels that do not fit.
    """
    check_thresholds(threshold, detection.iou)
    most = min(count or MOST_BOXES, MOST_BOXES)
    if detection.detector.name == "ssd" and is_ssd_vgg(outputs):
        return [list(rank_boxes(*each, most, labels or VOC_CLASSES)) for each in _by_ssd_vgg(outputs, detection, threshold)]
    found = decode(detection.detector.name, outputs, detection.size, detection.priors)
    if labels is not None and found.background and found.class_count == len(labels) + 1:
        labels = (BACKGROUND, *labels)
    elif labels is not None and not found.background and found.class_count is not None:
        labels = fitted(labels, found.class_count)
    places = detection.geometries or [Geometry.stretched(*detection.size)] * len(found.scores)
    return [rank_boxes(*select(found, index, threshold, detection.iou, place), most, labels, found.background)
            for index, place in enumerate(places)]


def _by_ssd_vgg(outputs: Outputs, detection: Detection, threshold: float) -> list[Detections]:
    found = postprocess(by_position(outputs), threshold, detection.iou)
    if detection.geometries is None:
        return found
    return [each if place.is_stretched else _placed(each, place)
            for each, place in zip(found, detection.geometries, strict=True)]


def _placed(found: Detections, place: Geometry) -> Detections:
    """The boxes as fractions of the picture, without those outside it."""
    boxes = place.undo(found.boxes).clip(0, 1)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(found.classes[inside], found.scores[inside], boxes[inside])


def load_priors(path: Path) -> Floats:
    """Prior boxes [A, 4] (centre x, y, width, height as fractions of the input) from a .npy file; raises
    ``DetectionError``."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DetectionError(f"{path} (--priors): numpy cannot read it as .npy: {error}") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != 4 or not np.isrealobj(values) \
            or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise DetectionError(f"{path} (--priors): must hold finite numbers [positions, 4]: centre x, y, width, height as "
                             "parts of the input")
    return values.astype(np.float32)
