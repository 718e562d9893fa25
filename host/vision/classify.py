"""What a network saw: classes ranked by confidence, boxes with classes, and those drawn on a copy of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from arrayloom.host.vision.decode import load_image
from arrayloom.host.vision.errors import ImageError, LabelError
from arrayloom.isa.host_steps import softmax

COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6")
LINE_PART, TEXT_PART = 250, 40      # of the longer side: thickness of lines, height of text


@dataclass(frozen=True)
class Ranked:
    """One class of an image's ranking; ``confidence`` from 0 to 1."""

    index: int
    label: str
    confidence: float


@dataclass(frozen=True)
class Located(Ranked):
    """A class and where it is seen; ``box``: ymin, xmin, ymax, xmax as parts of the image."""

    box: tuple[float, float, float, float]


def load_labels(path: Path) -> list[str]:
    """One label a line, in index order; raises ``LabelError``."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: labels cannot be read: {error}") from None


def rank(scores: NDArray[Any], count: int, labels: list[str] | None = None) -> list[Ranked]:
    """The ``count`` best classes of one image; logits become confidences by softmax, probabilities are taken as such."""
    flat = scores.reshape(-1).astype(np.float32)
    is_probability = flat.min() >= 0 and abs(float(flat.sum()) - 1) < 1e-2
    confidence = flat if is_probability else softmax(flat, 0)
    best = np.argsort(-flat, kind="stable")[:count]
    if labels is not None and len(labels) < len(flat):
        raise LabelError(f"{len(labels)} labels for {len(flat)} classes; give a file with one label a class")
    return [Ranked(int(i), labels[i] if labels else str(i), float(confidence[i])) for i in best]


def rank_boxes(classes: NDArray[Any], scores: NDArray[Any], boxes: NDArray[Any], count: int,
               labels: Sequence[str]) -> list[Located]:
    """The first ``count`` boxes of one image, which come best first, with the names of their classes.

    ``classes`` [n] index ``labels``, ``scores`` [n] lie in 0..1, ``boxes`` [n, 4] are ymin, xmin, ymax, xmax as parts of
    the image. Raises ``LabelError`` for labels that are too few.
    """
    if len(classes) and int(classes.max()) >= len(labels):
        raise LabelError(f"{len(labels)} labels, and class {int(classes.max())} was found; give a file with one label "
                         "a class, the background first")
    return [Located(int(index), labels[index], float(score), tuple(np.round(box, 6).tolist()))
            for index, score, box in zip(classes[:count], scores[:count], boxes[:count], strict=True)]


def draw_boxes(source: Path, boxes: Sequence[Located], target: Path) -> None:
    """Writes ``target``, a PNG of the picture ``source`` with its boxes; raises ``ImageError``."""
    picture = Image.fromarray(load_image(source))
    pen = ImageDraw.Draw(picture)
    longer = max(picture.size)
    font = ImageFont.load_default(max(10, longer // TEXT_PART))
    for each in reversed(boxes):        # the best one on top
        colour = COLOURS[each.index % len(COLOURS)]
        top, left, bottom, right = each.box
        corner = (left * (picture.width - 1), top * (picture.height - 1))
        pen.rectangle((corner, (right * (picture.width - 1), bottom * (picture.height - 1))), None, colour,
                      max(2, longer // LINE_PART))
        text = f"{each.label} {each.confidence:.0%}"
        pen.rectangle(pen.textbbox(corner, text, font), colour)
        pen.text(corner, text, "white", font)
    try:
        picture.save(target, "PNG")
    except OSError as error:
        raise ImageError(f"{target}: cannot be written: {error.strerror or error}") from None
