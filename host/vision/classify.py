"""Results for people: classes ranked by confidence, and boxes with classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision.class_names import BUILT_IN, fitted
from arrayloom.host.vision.errors import LabelError
from arrayloom.isa.host_steps import softmax


@dataclass(frozen=True)
class Ranked:
    """One class of an image's ranking; ``confidence`` from 0 to 1."""

    index: int
    label: str
    confidence: float


@dataclass(frozen=True)
class Located(Ranked):
    """A detected class and its place; ``box``: ymin, xmin, ymax, xmax as fractions of the image."""

    box: tuple[float, float, float, float]


def load_labels(path: Path) -> list[str]:
    """Reads a file with one label per line in index order, or the built-in names called ``path`` if there is no such file.

    Raises ``LabelError``.
    """
    if str(path) in BUILT_IN and not path.is_file():
        return list(BUILT_IN[str(path)]())
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: labels cannot be read: {error}; give a file with one label per line, or one of "
                         f"{', '.join(BUILT_IN)}") from None


def rank(scores: NDArray[Any], count: int, labels: list[str] | None = None) -> list[Ranked]:
    """The ``count`` best classes of one image; logits become confidences by softmax, probabilities stay as they are."""
    flat = scores.reshape(-1).astype(np.float32)
    is_probability = flat.min() >= 0 and abs(float(flat.sum()) - 1) < 1e-2
    confidence = flat if is_probability else softmax(flat, 0)
    best = np.argsort(-flat, kind="stable")[:count]
    labels = None if labels is None else list(fitted(labels, len(flat)))
    if labels is not None and len(labels) < len(flat):
        raise LabelError(f"{len(labels)} labels for {len(flat)} classes; give a file with one label per class")
    return [Ranked(int(i), labels[i] if labels else str(i), float(confidence[i])) for i in best]


def rank_boxes(classes: NDArray[Any], scores: NDArray[Any], boxes: NDArray[Any], count: int,
               labels: Sequence[str] | None, background: bool = True) -> list[Located]:
    """The first ``count`` boxes of one image, given best first, with the names of their classes.

    ``classes`` [n] index ``labels`` (None: a class is called by its number), ``scores`` [n] are in 0..1, ``boxes`` [n, 4]
    are ymin, xmin, ymax, xmax as fractions of the image; ``background``: whether class 0 is the background. Raises
    ``LabelError`` for labels that are too few.
    """
    if labels is not None and len(classes) and int(classes.max()) >= len(labels):
        raise LabelError(f"{len(labels)} labels, and class {int(classes.max())} was found; give a file with one label "
                         "per class" + ", the background first" * background)
    return [Located(int(index), str(index) if labels is None else labels[index], float(score),
                    tuple(np.round(box, 6).tolist()))
            for index, score, box in zip(classes[:count], scores[:count], boxes[:count], strict=True)]
