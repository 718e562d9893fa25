"""Converts SSD's outputs to candidates: boxes that the network selected itself, or scores and boxes of all positions.

Supported forms: TensorFlow's ``detection_boxes`` (y first), ``detection_scores`` and
``detection_classes``; ``boxes``, ``scores`` and ``labels`` as torchvision and the ONNX model zoo name them; and two outputs,
[N, A, C] of scores where class 0 is the background and [N, A, 4] of corners (x first), or of offsets from prior boxes; and
Caffe's DetectionOutput [1, 1, n, 7].
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.detection.boxes import (
    PROBABILITY_SLACK,
    Candidates,
    Floats,
    exceed_parts,
    from_centres,
    from_corners,
    require_probabilities,
)
from arrayloom.host.vision.errors import DetectionError
from arrayloom.isa.host_steps import softmax

Outputs = Mapping[str, NDArray[Any]]
Size = tuple[int, int]

VARIANCES = np.array([0.1, 0.1, 0.2, 0.2], np.float32)
"""Factors of the offsets in x, y, width and height, in the paper's networks and torchvision's."""

ORDERED = 0.99
"""The fraction of boxes whose second corner must come after the first to be taken for corners; for offsets it is about a
quarter."""

LARGEST_CLASS = 10_000

BOXES, SCORES = {"detection_boxes", "det_boxes", "boxes", "bboxes"}, {"detection_scores", "det_scores", "scores"}
CLASSES = {"detection_classes", "det_classes", "labels", "classes"}
COUNTS = {"num_detections", "num_dets"}
"""Names of outputs whose boxes were selected in the network."""

Y_FIRST = {"detection_boxes"}
WITHOUT_BACKGROUND = {"det_classes"}


def decode_ssd(outputs: Outputs, size: Size, priors: Floats | None = None) -> Candidates:
    """``priors``: [A, 4] (centre x, y, width, height) as fractions of the input, for outputs that are offsets from them.

    Raises ``DetectionError`` for outputs of another form, and for offsets without priors.
    """
    if named := named_outputs(outputs):
        return _decode_final(named, outputs, size)
    if is_detection_output({name: values.shape for name, values in outputs.items()}):
        return _decode_detection_output(next(iter(outputs.values())))
    return _decode_all(*_pair(outputs), size, priors)


def require_ssd(outputs: Outputs) -> None:
    """Raises ``DetectionError`` if the outputs' names and shapes fit none of the forms."""
    shapes = {name: values.shape for name, values in outputs.items()}
    if not (named_outputs(shapes) or is_detection_output(shapes) or is_pair(shapes)):
        raise _form(outputs)


def named_outputs(outputs: Mapping[str, Any]) -> dict[str, str] | None:
    """The names of the outputs ``boxes``, ``scores``, ``classes`` and possibly ``count``, if the outputs are selected
    boxes."""
    plain = {name: name.rpartition("/")[2].removesuffix(":0").lower() for name in outputs}
    kinds = {"boxes": BOXES, "scores": SCORES, "classes": CLASSES, "count": COUNTS}
    found = {kind: [name for name in outputs if plain[name] in known] for kind, known in kinds.items()}
    if any(len(found[kind]) != 1 for kind in ("boxes", "scores", "classes")):
        return None
    return {kind: names[0] for kind, names in found.items() if len(names) == 1}


def is_detection_output(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the only output is [1, 1, n, 7], as from Caffe's DetectionOutput."""
    return [shape[:2] + shape[3:] for shape in shapes.values() if len(shape) == 4] == [(1, 1, 7)] and len(shapes) == 1


def is_pair(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether two outputs are [N, A, C] and [N, A, 4], or both with A last; only SSD networks have these."""
    if len(shapes) != 2 or any(len(shape) != 3 for shape in shapes.values()):
        return False
    (_, *one), (_, *other) = shapes.values()
    return any(one[axis] == other[axis] > 4 and 4 in (one[1 - axis], other[1 - axis])
               and min(one[1 - axis], other[1 - axis]) > 1 for axis in (0, 1))


def _decode_final(named: dict[str, str], outputs: Outputs, size: Size) -> Candidates:
    boxes, scores, classes = (np.asarray(outputs[named[kind]], np.float32) for kind in ("boxes", "scores", "classes"))
    if boxes.ndim == 2:
        boxes, scores, classes = boxes[np.newaxis], scores.reshape(1, -1), classes.reshape(1, -1)
    if boxes.ndim != 3 or boxes.shape[2] != 4 or scores.shape != boxes.shape[:2] or classes.shape != boxes.shape[:2]:
        raise _form(outputs)
    usable = np.isfinite(classes) & (classes >= 0) & (classes < LARGEST_CLASS)
    if "count" in named:
        counts = np.asarray(outputs[named["count"]], np.float32).reshape(len(boxes), -1)[:, :1]
        usable &= np.arange(boxes.shape[1]) < counts
    require_probabilities(scores, named["scores"], "ssd")
    names = {kind: name.rpartition("/")[2].removesuffix(":0").lower() for kind, name in named.items()}
    return Candidates(from_corners(boxes, size, names["boxes"] in Y_FIRST), np.where(usable, scores, np.float32(0)),
                      np.where(usable, classes, 0).astype(np.int64), None, names["classes"] not in WITHOUT_BACKGROUND, True)


def _decode_detection_output(values: NDArray[Any]) -> Candidates:
    """[1, 1, n, 7]: image, class, score, xmin, ymin, xmax, ymax as fractions of the input; image -1 ends the list."""
    rows = np.asarray(values, np.float32)[:, 0]
    classes = rows[..., 1]
    usable = (rows[..., 0] == 0) & (classes >= 0) & (classes < LARGEST_CLASS)
    require_probabilities(rows[..., 2][usable], "of DetectionOutput", "ssd")
    return Candidates(from_corners(rows[..., 3:], (1, 1)), np.where(usable, rows[..., 2], np.float32(0)),
                      np.where(usable, classes, 0).astype(np.int64), None, True, True)


def _pair(outputs: Outputs) -> tuple[Floats, Floats, str]:
    """Scores [N, A, C], boxes [N, A, 4], and the name of the latter."""
    if not is_pair({name: values.shape for name, values in outputs.items()}):
        raise _form(outputs)
    rows = {name: np.asarray(values, np.float32) for name, values in outputs.items()}
    one, other = rows.values()
    if one.shape[1] != other.shape[1] or 4 not in (one.shape[2], other.shape[2]):
        rows = {name: values.transpose(0, 2, 1) for name, values in rows.items()}
    located = [name for name, values in rows.items() if values.shape[2] == 4]
    if len(located) == 2:       # four classes: the scores are the output that holds probabilities
        located = [name for name in located if not _is_distribution(rows[name])]
    if len(located) != 1:
        raise DetectionError(f"outputs {', '.join(map(repr, outputs))}: both have four columns, and neither holds "
                             "probabilities alone; end the network with the softmax of its classes")
    return next(values for name, values in rows.items() if name != located[0]), rows[located[0]], located[0]


def _is_distribution(rows: Floats) -> bool:
    return bool(rows.min() >= -PROBABILITY_SLACK and np.all(np.abs(rows.sum(axis=-1) - 1) < 0.1))


def _decode_all(scores: Floats, boxes: Floats, name: str, size: Size, priors: Floats | None) -> Candidates:
    with np.errstate(invalid="ignore"):
        if not bool(np.nanmin(scores) >= -PROBABILITY_SLACK and np.nanmax(scores) <= 1 + PROBABILITY_SLACK):
            scores = softmax(scores, 2)
    placed = _place(boxes, name, size, priors)
    count, places, classes = scores.shape
    # each class of each position is a separate box, except the background, class 0
    each = np.broadcast_to(np.arange(1, classes), (count, places, classes - 1)).reshape(count, -1)
    return Candidates(np.repeat(placed, classes - 1, axis=1), scores[..., 1:].reshape(count, -1), each.astype(np.int64),
                      classes, background=True)


def _place(boxes: Floats, name: str, size: Size, priors: Floats | None) -> Floats:
    if priors is not None:
        return _decode_offsets(boxes, priors)
    if not _are_corners(boxes, size):
        raise DetectionError(f"output {name!r} {list(boxes.shape)}: holds offsets from prior boxes, which the model does "
                             "not say; give them (priors=, --priors FILE.npy), or export the network with its boxes decoded")
    return from_corners(boxes, size)


def _are_corners(boxes: Floats, size: Size) -> bool:
    finite = boxes[np.isfinite(boxes).all(axis=-1)]
    if not len(finite):
        return True
    ordered = np.mean((finite[:, 2] >= finite[:, 0]) & (finite[:, 3] >= finite[:, 1]))
    centres = (finite[:, :2] + finite[:, 2:]) / 2
    if exceed_parts(finite):
        centres = centres / np.array([size[1], size[0]], np.float32)
    inside = np.mean(((centres >= -1) & (centres <= 2)).all(axis=-1))
    return bool(ordered >= ORDERED and inside >= ORDERED)


def _decode_offsets(offsets: Floats, priors: Floats) -> Floats:
    if priors.shape != offsets.shape[1:]:
        raise DetectionError(f"priors (--priors): hold {list(priors.shape)}, but the network's offsets need "
                             f"{list(offsets.shape[1:])}")
    scaled = offsets * VARIANCES
    with np.errstate(over="ignore", invalid="ignore"):
        centres = scaled[..., :2] * priors[:, 2:] + priors[:, :2]
        extents = np.exp(scaled[..., 2:]) * priors[:, 2:]
    return from_centres(np.concatenate([centres, extents], axis=-1), (1, 1), pixels=False)


def _form(outputs: Outputs) -> DetectionError:
    given = ", ".join(f"{name!r} {list(values.shape)}" for name, values in outputs.items())
    return DetectionError(f"detector ssd: the outputs are {given}; it takes scores [N, positions, classes] and boxes "
                          "[N, positions, 4], or boxes, scores and classes that the network selected; choose another "
                          "detector (--detector)")
