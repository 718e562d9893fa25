"""Boxes and class names drawn on a copy of a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont

from arrayloom.host.runtime.boundary import InputError
from arrayloom.host.vision import load_image

COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6")
LINE_PART, TEXT_PART = 250, 40      # of the longer side


class Box(Protocol):
    """A class and where it is seen; ``box``: ymin, xmin, ymax, xmax as parts of the image."""

    @property
    def index(self) -> int: ...

    @property
    def label(self) -> str: ...

    @property
    def confidence(self) -> float: ...

    @property
    def box(self) -> tuple[float, float, float, float]: ...


def draw_boxes(source: Path, boxes: Sequence[Box], target: Path) -> None:
    """Writes ``target``, a PNG of the picture ``source`` with its boxes; raises ``ImageError``, ``InputError``."""
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
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from None
