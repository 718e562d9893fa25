"""Boxes drawn on a copy of a picture."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from arrayloom.host.vision.classify import Located
from arrayloom.host.vision.drawing import COLOURS, draw_boxes
from arrayloom.host.vision.errors import ImageError

BOXES = [Located(15, "person", 0.9, (0.25, 0.25, 0.75, 0.5)), Located(12, "dog", 0.6, (0.5, 0.6, 1.0, 1.0))]


def _colour(index: int) -> tuple[int, ...]:
    text = COLOURS[index % len(COLOURS)]
    return tuple(int(text[i:i + 2], 16) for i in (1, 3, 5))


def test_boxes_are_where_they_belong(tmp_path: Path) -> None:
    source = tmp_path / "grey.png"
    Image.new("RGB", (401, 201), (90, 90, 90)).save(source)
    before = source.read_bytes()
    draw_boxes(source, BOXES, tmp_path / "drawn.png")
    assert source.read_bytes() == before
    drawn = np.asarray(Image.open(tmp_path / "drawn.png"))
    assert drawn.shape == (201, 401, 3)
    for entry in BOXES:
        top, left, bottom, right = (round(side * extent) for side, extent in zip(entry.box, (200, 400) * 2, strict=True))
        for y, x in ((bottom, (left + right) // 2), ((top + bottom) // 2, left), ((top + bottom) // 2, right)):
            assert tuple(drawn[y, x]) == _colour(entry.index)
        assert tuple(drawn[bottom - 8, right - 8]) == (90, 90, 90)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    with pytest.raises(ImageError, match="cannot be written"):
        draw_boxes(tmp_path / "image.png", [], tmp_path / "absent" / "drawn.png")
