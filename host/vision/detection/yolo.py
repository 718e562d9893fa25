"""Converts YOLO's outputs to candidates: YOLOv8 and versions with the same head (v9 to v12), YOLOv5 (v7), and YOLOX.

Every decoder takes the outputs by name, each [N, ...], and the input's height and width; it raises ``DetectionError`` for
outputs of another form, naming them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.detection.boxes import (
    Candidates,
    Floats,
    best_class,
    from_centres,
    from_corners,
    require_probabilities,
)
from arrayloom.host.vision.detection.grids import find_strides, grid, is_usual
from arrayloom.host.vision.errors import DetectionError

Outputs = Mapping[str, NDArray[Any]]
Size = tuple[int, int]

MOST_FINAL = 1000
"""Rows of an output after suppression in the network: [N, 300, 6] as exported, never more than this."""

FINAL_FIELDS = 6
"""xmin, ymin, xmax, ymax, score, class."""

ANCHORS = {
    3: (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326))),
    4: (((19, 27), (44, 40), (38, 94)), ((96, 68), (86, 152), (180, 137)), ((140, 301), (303, 264), (238, 542)),
        ((436, 615), (739, 380), (925, 792))),
}
"""YOLOv5's anchors for COCO, width and height in pixels, by number of heads (yolov5s.yaml and yolov5s6.yaml)."""


def decode_yolov8(outputs: Outputs, size: Size) -> Candidates:
    """[N, 4 + C, A] or [N, A, 4 + C] (centre x, y, width, height, probabilities), or final boxes [N, n, 6].

    Mask coefficients of a segmentation network, which has a second output [N, m, H, W], are ignored.
    """
    name, values, masks = _main(outputs, "yolov8")
    if is_final(values.shape, size, masks):
        return _final(name, values, size)
    rows = _rows(values, size)
    classes = rows.shape[-1] - 4 - masks
    if classes < 1:
        raise _form("yolov8", "[N, 4 + classes, positions]", outputs)
    scores = rows[..., 4:4 + classes]
    require_probabilities(scores, name, "yolov8")
    return Candidates(from_centres(rows[..., :4], size), *best_class(scores), classes)


def decode_yolov5(outputs: Outputs, size: Size) -> Candidates:
    """[N, A, 5 + C] (centre x, y, width, height, objectness, probabilities), or its undecoded heads.

    Heads are [N, 3, H, W, 5 + C] or [N, 3 * (5 + C), H, W], three or four of them, of a network with YOLOv5's anchors.
    """
    if not any(values.ndim == 3 for values in outputs.values()):
        return _from_objectness(_decode_heads(outputs, size), ", ".join(outputs), size, "yolov5", pixels=True)
    name, values, masks = _main(outputs, "yolov5")
    rows = _rows(values, size)
    if rows.shape[-1] - masks < 6:
        raise _form("yolov5", "[N, positions, 5 + classes]", outputs)
    return _from_objectness(rows[..., :rows.shape[-1] - masks], name, size, "yolov5")


def decode_yolox(outputs: Outputs, size: Size) -> Candidates:
    """[N, A, 5 + C] or [N, 5 + C, A] without decoding: offsets from positions and logarithms of sizes, in strides.

    A YOLOX exported with its decoding has YOLOv5's form.
    """
    name, values, _ = _main(outputs, "yolox")
    rows = _rows(values, size)
    strides = find_strides(rows.shape[1], size)
    if rows.shape[-1] < 6 or strides is None:
        raise _form("yolox", "[N, positions, 5 + classes] with the positions of strides that double", outputs)
    maps = [(grid(-(-size[0] // stride), -(-size[1] // stride)), stride) for stride in strides]
    places = np.concatenate([places for places, _ in maps])
    pixels = np.concatenate([np.full((len(places), 1), stride, np.float32) for places, stride in maps])
    with np.errstate(over="ignore", invalid="ignore"):
        centres, extents = (rows[..., :2] + places) * pixels, np.exp(rows[..., 2:4]) * pixels
    return _from_objectness(np.concatenate([centres, extents, rows[..., 4:]], axis=-1), name, size, "yolox", pixels=True)


def is_final(shape: tuple[int, ...], size: Size, masks: int = 0) -> bool:
    """Whether an output [N, n, 6] holds boxes after suppression in the network."""
    return len(shape) == 3 and shape[2] == FINAL_FIELDS + masks and shape[1] <= MOST_FINAL and not is_usual(shape[1], size)


def _final(name: str, values: Floats, size: Size) -> Candidates:
    classes = values[..., 5]
    known = np.isfinite(classes)
    if np.any(classes[known] != np.rint(classes[known])) or np.any(np.abs(classes[known]) > MOST_FINAL):
        raise DetectionError(f"output {name!r} {list(values.shape)}: its last column holds no classes; choose another "
                             "detector (--detector)")
    require_probabilities(values[..., 4], name, "yolov8")
    scores = np.where(known & (classes >= 0), values[..., 4], np.float32(0))
    return Candidates(from_corners(values[..., :4], size), scores, np.where(known, classes, 0).astype(np.int64), None,
                      suppressed=True)


def _from_objectness(rows: Floats, name: str, size: Size, detector: str, pixels: bool | None = None) -> Candidates:
    """Rows [N, A, 5 + C] with decoded boxes: a class's confidence is its probability times the objectness."""
    require_probabilities(rows[..., 4:], name, detector)
    return Candidates(from_centres(rows[..., :4], size, pixels), *best_class(rows[..., 4:5] * rows[..., 5:]),
                      rows.shape[-1] - 5)


def _decode_heads(outputs: Outputs, size: Size) -> Floats:
    """YOLOv5's heads to rows [N, A, 5 + C] (Detect.forward of models/yolo.py)."""
    heads = sorted((_head(values, outputs) for values in outputs.values()), key=lambda head: -head.shape[2] * head.shape[3])
    anchors = ANCHORS.get(len(heads))
    if anchors is None or len({head.shape[-1] for head in heads}) > 1:
        raise _form("yolov5", "[N, positions, 5 + classes], or three or four heads [N, 3, H, W, 5 + classes]", outputs)
    return np.concatenate([_decode_head(head, np.array(each, np.float32), size)
                           for head, each in zip(heads, anchors, strict=True)], axis=1)


def _head(values: NDArray[Any], outputs: Outputs) -> Floats:
    """One head as [N, 3, H, W, 5 + C]."""
    if values.ndim == 4 and values.shape[1] % 3 == 0:
        count, channels, height, width = values.shape
        values = values.reshape(count, 3, channels // 3, height, width).transpose(0, 1, 3, 4, 2)
    if values.ndim != 5 or values.shape[1] != 3 or values.shape[4] < 6:
        raise _form("yolov5", "[N, positions, 5 + classes], or three or four heads [N, 3, H, W, 5 + classes]", outputs)
    return values.astype(np.float32)


def _decode_head(head: Floats, anchors: Floats, size: Size) -> Floats:
    count, _, height, width, fields = head.shape
    if size[0] % height or size[1] % width:
        raise DetectionError(f"a head of {height}x{width} positions has no whole stride on an input of {size[0]}x{size[1]}")
    strides = np.array([size[1] // width, size[0] // height], np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        active = 1 / (1 + np.exp(-head))
        centres = (active[..., :2] * 2 - 0.5 + grid(height, width).reshape(height, width, 2)) * strides
        extents = (active[..., 2:4] * 2) ** 2 * anchors[:, np.newaxis, np.newaxis]
    return np.concatenate([centres, extents, active[..., 4:]], axis=-1).reshape(count, -1, fields)


def _main(outputs: Outputs, detector: str) -> tuple[str, Floats, int]:
    """The only output of rank 3, its name, and the number of mask coefficients at the end of its rows."""
    found = {name: values for name, values in outputs.items() if values.ndim == 3}
    if len(found) != 1:
        raise _form(detector, "one of rank 3", outputs)
    ((name, values),) = found.items()
    prototypes = [other.shape[1] for other in outputs.values() if other.ndim == 4]
    return name, values.astype(np.float32), prototypes[0] if len(prototypes) == 1 and len(outputs) == 2 else 0


def _rows(values: Floats, size: Size) -> Floats:
    """Rearranges to [N, A, fields]: A is the axis that fits YOLO's strides, else the larger one."""
    first, second = (_is_positions(extent, size) for extent in values.shape[1:])
    swap = second if first != second else values.shape[2] > values.shape[1]
    return values.transpose(0, 2, 1) if swap else values


def _is_positions(count: int, size: Size) -> bool:
    return is_usual(count, size) or (count % 3 == 0 and is_usual(count // 3, size))


def _form(detector: str, wanted: str, outputs: Outputs) -> DetectionError:
    given = ", ".join(f"{name!r} {list(values.shape)}" for name, values in outputs.items())
    return DetectionError(f"detector {detector}: the outputs are {given}; it takes {wanted}; choose another detector "
                          "(--detector)")
