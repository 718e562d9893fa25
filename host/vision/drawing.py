"""Draws boxes with their classes and confidences on a copy of the picture."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFont

from arrayloom.host.vision.classify import Located
from arrayloom.host.vision.decode import load_image
from arrayloom.host.vision.errors import ImageError

COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45", "#fabed4",
           "#469990", "#dcbeff", "#9a6324", "#fffac8", "#800000", "#aaffc3", "#808000", "#ffd8b1", "#000075", "#a9a9a9")
"""Colours of the classes, by index modulo their number."""

LINE_PART, TEXT_PART = 250, 40      # fractions of the longer side: thickness of lines, height of text
LEAST_LINE, LEAST_TEXT = 2, 10
BRIGHT = 140                        # text is black on colours of at least this luminance


def draw_boxes(source: Path, boxes: Sequence[Located], target: Path) -> None:
    """Writes ``target``, a PNG of the picture ``source`` with its boxes; raises ``ImageError``."""
    picture = Image.fromarray(load_image(source))
    for each in reversed(boxes):        # draw the best one last, on top
        _draw(picture, each)
    try:
        picture.save(target, "PNG")
    except OSError as error:
        raise ImageError(f"{target}: cannot be written: {error.strerror or error}") from None


def _draw(picture: Image.Image, box: Located) -> None:
    pen, longer = ImageDraw.Draw(picture), max(picture.size)
    colour = COLOURS[box.index % len(COLOURS)]
    top, left, bottom, right = (part * (side - 1) for part, side in zip(box.box, picture.size[::-1] * 2, strict=True))
    pen.rectangle((left, top, right, bottom), None, colour, max(LEAST_LINE, longer // LINE_PART))
    text, font = f"{box.label} {box.confidence:.0%}", ImageFont.load_default(max(LEAST_TEXT, longer // TEXT_PART))
    _, _, width, height = (int(side) for side in pen.textbbox((0, 0), text, font))
    # in the box's upper left corner, moved to be entirely inside the picture
    corner = (max(0, min(left, picture.width - 1 - width)), max(0, min(top, picture.height - 1 - height)))
    pen.rectangle((*corner, corner[0] + width, corner[1] + height), colour)
    pen.text(corner, text, "black" if _luminance(colour) >= BRIGHT else "white", font)


def _luminance(colour: str) -> float:
    """0 to 255, by ITU-R BT.601."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return 0.299 * red + 0.587 * green + 0.114 * blue
