"""The guess of a network's detector from the names and shapes of its outputs alone."""

import pytest

from arrayloom.host.vision.detection import guess_detector
from arrayloom.host.vision.detection.detectors import looks_ambiguous
from arrayloom.host.vision.detection.grids import find_strides


@pytest.mark.parametrize(("shapes", "size", "wanted"), [
    ({"output0": (1, 84, 8400)}, (640, 640), "yolov8"),
    ({"913": (1, 12, 84)}, (64, 64), "yolov8"),
    ({"y": (2, 84, 6300)}, (480, 640), "yolov8"),
    ({"y": (1, 84, 34000)}, (640, 640), "yolov8"),
    ({"y": (1, 116, 8400), "masks": (1, 32, 160, 160)}, (640, 640), "yolov8"),
    ({"y": (1, 300, 6)}, (640, 640), "yolov8"),
    ({"y": (1, 25200, 85)}, (640, 640), "yolov5"),
    ({"y": (1, 25200, 85), "a": (1, 3, 80, 80, 85), "b": (1, 3, 40, 40, 85)}, (640, 640), "yolov5"),
    ({"y": (1, 252, 13)}, (64, 64), "yolov5"),
    ({"softmax": (1, 320, 6), "cat": (1, 320, 4)}, (64, 64), "ssd"),
    ({"boxes": (1, 4, 8732), "labels": (1, 81, 8732)}, (300, 300), "ssd"),
    ({"detection_boxes": (1, 100, 4), "detection_scores": (1, 100), "detection_classes": (1, 100), "num": (1,)},
     (300, 300), "ssd"),
    ({"logits": (1, 1000)}, (224, 224), None),
    ({"y": (1, 85, 8401)}, (640, 640), None),
    ({"y": (1, 8400, 84)}, (640, 640), None),
    ({"map": (1, 21, 64, 64)}, (64, 64), None),
    ({"classes": (1, 10), "boxes": (1, 4)}, (64, 64), None),
    ({"a": (1, 84, 8400), "b": (1, 84, 8400)}, (640, 640), None),
    ({"s8": (1, 255, 80, 80), "s16": (1, 255, 40, 40), "s32": (1, 255, 20, 20)}, (640, 640), None),
])
def test_what_is_guessed(shapes, size, wanted):
    guessed = guess_detector(shapes, size)
    assert (guessed.name if guessed else None) == wanted
    assert guessed is None or (guessed.guessed and next(iter(shapes)) in guessed.outputs)


def test_ambiguous_shapes():
    assert looks_ambiguous({"y": (1, 8400, 85)}, (640, 640))
    assert not looks_ambiguous({"y": (1, 85, 8400)}, (640, 640))
    assert not looks_ambiguous({"y": (1, 8400, 85), "z": (1, 3)}, (640, 640))
    assert not looks_ambiguous({"y": (1, 1000)}, (224, 224))


def test_strides_of_a_number_of_positions():
    assert find_strides(8400, (640, 640)) == (8, 16, 32)
    assert find_strides(320, (64, 64)) == (4, 8)
    assert find_strides(321, (64, 64)) is None
