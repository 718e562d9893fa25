"""``arrayloom score --draw``: copies of the pictures with what a detector found."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from arrayloom.host.cli.score_results import Located
from arrayloom.host.runtime.boundary import InputError
from arrayloom.host.vision.classify import Ranked
from arrayloom.host.vision.draw import draw_boxes


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draw", type=Path, metavar="DIR", help="for detectors: copies of the images, with boxes, go here")


def check(folder: Path | None) -> None:
    """Raises ``InputError`` before any work when nothing can be written there."""
    if folder is not None and not folder.is_dir():
        raise InputError(f"--draw {folder}: is not a folder")


def draw(folder: Path | None, images: Sequence[Path], rankings: Sequence[Sequence[Ranked]]) -> None:
    """Writes ``NAME.boxes.png`` for every image; raises ``InputError`` where the model finds classes and no boxes."""
    if folder is None:
        return
    for image, ranking in zip(images, rankings, strict=True):
        boxes = [entry for entry in ranking if isinstance(entry, Located)]
        if len(boxes) != len(ranking):
            raise InputError("--draw: the model classifies whole images and finds no boxes; leave it out")
        draw_boxes(image, boxes, folder / f"{image.stem}.boxes.png")
