"""SSD-VGG as a detector, and the file of prior boxes."""

from pathlib import Path

import numpy as np
import pytest

from arrayloom.host.models.detecting import Detection, choose_detector, load_priors, locate
from arrayloom.host.models.networks.architectures import SSD_BOXES
from arrayloom.host.models.networks.ssd import OUTPUTS, by_position, postprocess
from arrayloom.host.vision import recipe
from arrayloom.host.vision.class_names import VOC_CLASSES
from arrayloom.host.vision.errors import DetectionError

SIZE = (300, 300)
SIDES = (38, 19, 10, 5, 3, 1)


@pytest.mark.parametrize("name", ["ssd300", "slim-ssd", "yolo"])
def test_boxes_of_ssd_vgg_are_its_postprocessing(name: str) -> None:
    rng = np.random.default_rng(0)
    maps = [(boxes * depth, side, side) for depth in (21, 4) for boxes, side in zip(SSD_BOXES, SIDES, strict=True)]
    outputs = {each: rng.normal(0, 3, (1, *shape)).astype(np.float32) for each, shape in zip(OUTPUTS, maps, strict=True)}
    detector = choose_detector({each: values.shape for each, values in outputs.items()}, None, SIZE)
    assert detector is not None
    assert (detector.name, detector.guessed) == ("ssd", True)
    place = recipe(name).fitted(*SIZE).geometry(200, 400)
    (found,) = locate(outputs, Detection(detector, SIZE, 0.4, [place]), 0.6, None, None)
    (wanted,) = postprocess(by_position(outputs), 0.6, 0.4)
    rows, tolerance = list(zip(wanted.classes, wanted.scores, wanted.boxes, strict=True)), 0.0
    if name == "yolo":      # a picture of 200x400 becomes 150x300 in the input, from row 75
        moved = [(index, score, np.array([(y - 0.25) * 2 if axis % 2 == 0 else y for axis, y in enumerate(box)]).clip(0, 1))
                 for index, score, box in rows]
        rows, tolerance = [row for row in moved if (row[2][2:] > row[2][:2]).all()], 1e-5
    assert len(found) == min(300, len(rows)) > 50
    for entry, (index, score, box) in zip(found, rows, strict=False):
        assert (entry.index, entry.label, entry.confidence) == (index, VOC_CLASSES[index], float(score))
        np.testing.assert_allclose(entry.box, np.round(box, 6), rtol=0, atol=tolerance)
    assert len(locate(outputs, Detection(detector, SIZE), 0.5, 7, None)[0]) == 7


def test_a_detector_needs_one_picture() -> None:
    assert choose_detector({"y": (1, 84, 8400)}, None, None) is None
    assert choose_detector({"y": (1, 84, 8400)}, "none", (640, 640)) is None
    with pytest.raises(DetectionError, match="does not take one picture"):
        choose_detector({"y": (1, 84, 8400)}, "yolov8", None)


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((2, 3)), np.full((2, 4), np.nan), np.zeros((2, 4), complex),
                                    np.array([["a"] * 4])])
def test_priors_that_are_none(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "priors.npy", values)
    with pytest.raises(DetectionError, match=r"must hold finite numbers \[positions, 4\]"):
        load_priors(tmp_path / "priors.npy")
