"""The detectors by name, guessing a network's detector, and boxes from its outputs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.detection.boxes import Candidates, Detections, Floats
from arrayloom.host.vision.detection.grids import is_usual
from arrayloom.host.vision.detection.selection import check_thresholds, select
from arrayloom.host.vision.detection.ssd import decode_ssd, is_detection_output, is_pair, named_outputs, require_ssd
from arrayloom.host.vision.detection.yolo import decode_yolov5, decode_yolov8, decode_yolox, is_final
from arrayloom.host.vision.errors import DetectionError
from arrayloom.host.vision.geometry import Geometry

Outputs = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]
Size = tuple[int, int]

DEFAULT_THRESHOLD, DEFAULT_IOU = 0.5, 0.45
FINAL_ROWS = 300        # of an output [N, 300, 6] that is assumed to hold boxes


class Detector(NamedTuple):
    """The decoder, whether it was guessed, and the outputs as text."""

    name: str
    guessed: bool = False
    outputs: str = ""


_YOLO: dict[str, Callable[[Outputs, Size], Candidates]] = {
    "yolov5": decode_yolov5, "yolov8": decode_yolov8, "yolox": decode_yolox}
DETECTORS = (*_YOLO, "ssd")
_WITHOUT_PRIORS = "priors (--priors): detector {} has none; leave them out"


def find_boxes(outputs: Outputs, size: Size, detector: str | None = None, threshold: float = DEFAULT_THRESHOLD,
               iou: float = DEFAULT_IOU, geometries: Sequence[Geometry] | None = None,
               priors: Floats | None = None) -> list[Detections]:
    """The detections of each image of a batch, at most 300 boxes each, best first.

    Parameters: `outputs` of the network by name, [N, ...]; `size`, height and width of its input; `detector`, one of
    `DETECTORS`, or None for `guess_detector`; `threshold`, the lower limit of the confidence; `iou`, the overlap above which
    the less confident box of a class is dropped; `geometries`, one per image, to return boxes as fractions of the picture
    instead of the input; `priors`, see `decode_ssd`. Raises: `DetectionError` for outputs that do not fit the detector,
    or invalid values.
    """
    guessed = None if detector else guess_detector(shapes_of(outputs), size)
    name = detector or (guessed.name if guessed else None)
    if name is None:
        raise DetectionError(f"the outputs {_listed(shapes_of(outputs))} do not identify a detector; name it, "
                             f"one of {', '.join(DETECTORS)}")
    check_thresholds(threshold, iou)
    found = decode(name, outputs, size, priors)
    places = geometries or [Geometry.stretched(*size)] * len(found.scores)
    return [select(found, index, threshold, iou, place) for index, place in enumerate(places)]


def decode(name: str, outputs: Outputs, size: Size, priors: Floats | None = None) -> Candidates:
    """All boxes of a batch; raises ``DetectionError``."""
    if name not in DETECTORS:
        raise DetectionError(f"detector {name!r}: unknown; known are {', '.join(DETECTORS)}")
    empty = [output for output, values in outputs.items() if values.size == 0]
    if empty and not named_outputs(outputs):
        raise DetectionError(f"output {empty[0]!r}: is empty")
    if name == "ssd":
        return decode_ssd(outputs, size, priors)
    if priors is not None:
        raise DetectionError(_WITHOUT_PRIORS.format(name))
    return _YOLO[name](outputs, size)


def require_form(name: str, shapes: Shapes, size: Size, with_priors: bool = False) -> None:
    """Raises ``DetectionError`` if outputs of these shapes [N, ...] cannot be the detector's."""
    if with_priors and name != "ssd":
        raise DetectionError(_WITHOUT_PRIORS.format(name))
    silent = {output: np.broadcast_to(np.float32(0), shape) for output, shape in shapes.items()}
    if name == "ssd":
        require_ssd(silent)
    elif all(values.size for values in silent.values()):
        _YOLO[name](silent, size)


def guess_detector(shapes: Shapes, size: Size) -> Detector | None:
    """The only detector whose outputs have such names or shapes [N, ...] on an input of ``size``.

    Shapes do not distinguish YOLOX ([N, A, 5 + C]) from YOLOv8 with its axes swapped, and from YOLOv5's heads.
    """
    if named_outputs(shapes) or is_pair(shapes) or is_detection_output(shapes):
        return Detector("ssd", True, _listed(shapes))
    main = [shape for shape in shapes.values() if len(shape) == 3]
    if len(main) != 1 or any(len(shape) not in (3, 4, 5) for shape in shapes.values()):
        return None
    name = _guess_yolo(main[0], size)
    return Detector(name, True, _listed({key: shape for key, shape in shapes.items() if len(shape) == 3})) if name else None


def _guess_yolo(shape: tuple[int, ...], size: Size) -> str | None:
    _, first, second = shape
    if is_usual(second, size) and 5 <= first < second:
        return "yolov8"
    if first % 3 == 0 and is_usual(first // 3, size) and 6 <= second < first:
        return "yolov5"
    return "yolov8" if first == FINAL_ROWS and is_final(shape, size) else None


def looks_ambiguous(shapes: Shapes, size: Size) -> bool:
    """Whether the only output is [N, A, 5 + C] at YOLO's positions A: YOLOX, or YOLOv8 with its axes swapped."""
    if len(shapes) != 1:
        return False
    (shape,) = shapes.values()
    return len(shape) == 3 and is_usual(shape[1], size) and 5 <= shape[2] < shape[1]


def shapes_of(outputs: Outputs) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(values) for name, values in outputs.items()}


def _listed(shapes: Shapes) -> str:
    return ", ".join(f"{name!r} {list(shape)}" for name, shape in shapes.items())
