"""The options of ``arrayloom score`` for detectors: which detector, which boxes are kept, and where drawings are written."""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arrayloom.host.models.detecting import (
    CLASSES_ONLY,
    Detection,
    choose_detector,
    is_ssd_vgg,
    load_priors,
)
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.vision import input_size, recipe
from arrayloom.host.vision.classify import Located, Ranked, load_labels
from arrayloom.host.vision.decode import image_size
from arrayloom.host.vision.detection import DETECTORS, Detector
from arrayloom.host.vision.detection.detectors import DEFAULT_IOU, DEFAULT_THRESHOLD, require_form
from arrayloom.host.vision.detection.selection import check_thresholds
from arrayloom.host.vision.drawing import draw_boxes
from arrayloom.host.vision.geometry import Geometry

ARRAYS = (".npy", ".npz")


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("for detectors")
    group.add_argument("--detector", choices=(*DETECTORS, CLASSES_ONLY),
                       help=f"how boxes are decoded from the outputs (default: guessed if unambiguous; {CLASSES_ONLY}: "
                            "a classifier)")
    group.add_argument("--threshold", type=float, default=DEFAULT_THRESHOLD, metavar="P",
                       help="lower limit of a box's confidence (default %(default)s)")
    group.add_argument("--iou", type=float, default=DEFAULT_IOU, metavar="P",
                       help="overlap above which the less confident box of a class is dropped (default %(default)s)")
    group.add_argument("--priors", type=Path, metavar="FILE.npy",
                       help="prior boxes of an SSD whose outputs are offsets: [positions, 4], centre x, y, width, height "
                            "in 0..1")
    group.add_argument("--draw", type=Path, metavar="DIR", help="folder for copies of the images with boxes")


def check(options: argparse.Namespace, files: Sequence[Path]) -> None:
    """Checks the options before any work; raises ``InputError`` or ``DetectionError``."""
    check_thresholds(options.threshold, options.iou)
    if options.priors:
        load_priors(options.priors)
    if options.draw is None:
        return
    if not options.draw.is_dir():
        raise InputError(f"--draw {options.draw}: is not a folder")
    if same := [stem for stem, count in Counter(file.stem for file in files).items() if count > 1]:
        raise InputError(f"--draw: several images would be drawn as {same[0]}.boxes.png; rename them, or score them one "
                         "after the other")


def labels_of(path: Path | None) -> list[str] | None:
    """The names of ``--labels``: from a file, or built in."""
    return None if path is None else load_labels(path)


def detector_of(options: argparse.Namespace, outputs: Mapping[str, tuple[int, ...]],
                shape: Sequence[int] | None) -> Detector | None:
    """The detector for outputs of these shapes [N, ...] of a network with one input of ``shape``; None for a classifier.

    Raises ``DetectionError`` if the outputs do not have the detector's form.
    """
    size = None if shape is None else input_size(shape)
    detector = choose_detector(outputs, options.detector, size)
    if detector is not None and size is not None and not is_ssd_vgg(outputs):
        require_form(detector.name, outputs, size, options.priors is not None)
    return detector


def detection(options: argparse.Namespace, detector: Detector | None, file: Path, shape: Sequence[int] | None,
              recipe_name: str | None) -> Detection | None:
    """How boxes are found for one image file, or for a file of arrays, to which no recipe was applied."""
    size = None if shape is None else input_size(shape)
    if detector is None or size is None:
        return None
    places: list[Geometry] | None = None
    if file.suffix not in ARRAYS and recipe_name is not None:
        places = [recipe(recipe_name).fitted(*size).geometry(*image_size(file))]
    return Detection(detector, size, options.iou, places, load_priors(options.priors) if options.priors else None)


def draw(folder: Path | None, files: Sequence[Path], rankings: Sequence[Sequence[Ranked]]) -> None:
    """Writes ``NAME.boxes.png`` for every image; raises ``InputError`` if the model finds classes rather than boxes."""
    if folder is None:
        return
    for file, ranking in zip(files, rankings, strict=True):
        boxes = [entry for entry in ranking if isinstance(entry, Located)]
        if len(boxes) != len(ranking):
            raise InputError("--draw: the model classifies whole images and finds no boxes; leave it out")
        draw_boxes(file, boxes, folder / f"{file.stem}.boxes.png")


def figures(detector: Detector | None) -> dict[str, Any]:
    """The detector under its name in ``--json``; nothing for a classifier."""
    return {} if detector is None else {"detector": {"name": detector.name, "guessed": detector.guessed}}


def lines(detector: Detector | None) -> list[str]:
    """The same as lines of text."""
    if detector is None:
        return []
    why = f" (guessed from {detector.outputs}; --detector overrides)" if detector.guessed else ""
    return [f"detector     {detector.name}{why}"]
