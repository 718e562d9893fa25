"""YOLO outputs that contain known boxes: the decoder of every form returns them."""

import numpy as np
import pytest

from arrayloom.host.vision.detection import find_boxes
from arrayloom.host.vision.detection.yolo import ANCHORS
from arrayloom.host.vision.errors import DetectionError

SIZE = (96, 64)     # height, width
STRIDES = (8, 16, 32)
COUNT = sum(SIZE[0] // stride * (SIZE[1] // stride) for stride in STRIDES)
BOX = [20.0, 48.0, 24.0, 36.0]      # centre x, y, width, height
PARTS = [30 / 96, 8 / 64, 66 / 96, 32 / 64]


def found(outputs, detector=None, **options):
    (seen,) = find_boxes(outputs, SIZE, detector, **options)
    return seen


def assert_planted(seen, index, score):
    assert seen.classes.tolist() == [index]
    np.testing.assert_allclose(seen.scores, [score], rtol=1e-5)
    np.testing.assert_allclose(seen.boxes, [PARTS], atol=1e-5)


def logit(value):
    return np.log(value / (1 - value))


def yolov8(scale=1.0):
    values = np.zeros((1, 4 + 3, COUNT), np.float32)
    values[0, :, 17] = [*(side * scale for side in BOX), 0.1, 0.2, 0.8]
    return values


def test_yolov8_in_both_orders_and_in_parts():
    assert_planted(found({"y": yolov8()}), 2, 0.8)
    assert_planted(found({"y": yolov8().transpose(0, 2, 1)}, "yolov8"), 2, 0.8)
    parts = yolov8()
    parts[0, :4] /= np.array([[64], [96], [64], [96]])
    assert_planted(found({"y": parts}), 2, 0.8)


def test_coefficients_of_masks_are_no_classes():
    values = np.concatenate([yolov8(), np.full((1, 32, COUNT), 7, np.float32)], axis=1)
    assert_planted(found({"y": values, "masks": np.zeros((1, 32, 24, 16), np.float32)}), 2, 0.8)


def test_boxes_selected_in_the_network():
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [8, 30, 32, 66, 0.9, 5]
    rows[0, 1] = [8, 30, 32, 66, 0.8, 5]
    rows[0, 2] = [8, 30, 32, 66, np.nan, 5]
    rows[0, 3] = [8, 30, 32, 66, 0.9, -1]
    seen = found({"y": rows})
    assert seen.classes.tolist() == [5, 5]
    np.testing.assert_allclose(seen.boxes, [PARTS, PARTS], atol=1e-6)
    rows[0, 0, 5] = 0.5
    with pytest.raises(DetectionError, match="its last column holds no classes"):
        found({"y": rows})


def test_yolov5_multiplies_by_objectness():
    values = np.zeros((1, 3 * COUNT, 5 + 4), np.float32)
    values[0, 40] = [*BOX, 0.9, 0, 0.8, 0.1, 0]
    assert_planted(found({"y": values}), 1, 0.72)


@pytest.mark.parametrize("merged", [False, True])
def test_yolov5_heads_before_they_are_decoded(merged):
    heads = {}
    for stride in STRIDES:
        heads[f"s{stride}"] = np.full((1, 3, SIZE[0] // stride, SIZE[1] // stride, 5 + 4), -20, np.float32)
    width, height = ANCHORS[3][1][2]        # 59 x 119, stride 16
    # The position of the centre: x 20 / 16 = 1.25 in column 1, y 48 / 16 = 3 in row 3.
    fields = [(20 / 16 - 1 + 0.5) / 2, (48 / 16 - 3 + 0.5) / 2, (24 / width) ** 0.5 / 2, (36 / height) ** 0.5 / 2, 0.9]
    heads["s16"][0, 2, 3, 1, :5] = [logit(field) for field in fields]
    heads["s16"][0, 2, 3, 1, 7] = logit(0.8)
    if merged:
        heads = {name: values.transpose(0, 1, 4, 2, 3).reshape(1, 27, *values.shape[2:4]) for name, values in heads.items()}
    assert_planted(found(dict(reversed(heads.items())), "yolov5"), 2, 0.72)
    with pytest.raises(DetectionError, match="three or four heads"):
        found({"s8": heads["s8"]}, "yolov5")


@pytest.mark.parametrize("strides", [(8, 16, 32), (4, 8)])
def test_yolox_is_decoded_by_its_strides(strides):
    count = sum(SIZE[0] // stride * (SIZE[1] // stride) for stride in strides)
    values = np.zeros((1, count, 5 + 3), np.float32)
    first, columns = strides[0], SIZE[1] // strides[0]
    row, column = 48 // first, 20 // first
    values[0, row * columns + column] = [20 / first - column, 48 / first - row, np.log(24 / first), np.log(36 / first),
                                         0.5, 0.1, 0.9, 0]
    assert_planted(found({"y": values}, "yolox", threshold=0.4), 1, 0.45)
    assert_planted(found({"y": values.transpose(0, 2, 1)}, "yolox", threshold=0.4), 1, 0.45)


def test_values_that_overflow_are_dropped():
    values = np.zeros((1, COUNT, 8), np.float32)
    values[0, 3] = [0, 0, 1000, 1000, 1, 1, 1, 1]
    assert len(found({"y": values}, "yolox").scores) == 0


@pytest.mark.parametrize(("outputs", "detector", "message"), [
    ({"y": yolov8() * 100}, "yolov8", "'y': its scores lie between 0 and 80, but those of yolov8 are probabilities"),
    ({"y": np.zeros((1, 10))}, "yolov8", r"the outputs are 'y' \[1, 10\]; it takes one of rank 3"),
    ({"y": np.zeros((1, 4, COUNT))}, "yolov8", "4 \\+ classes"),
    ({"y": np.zeros((1, 5, 3 * COUNT))}, "yolov5", "5 \\+ classes"),
    ({"y": np.zeros((1, COUNT - 1, 8))}, "yolox", "the positions of strides that double"),
    ({"y": np.zeros((1, 0, 8))}, "yolov8", "is empty"),
    ({"y": np.zeros((1, 10))}, None, "do not identify a detector"),
    ({"y": np.zeros((1, 10))}, "yolov3", "detector 'yolov3': unknown"),
])
def test_outputs_that_do_not_fit(outputs, detector, message):
    with pytest.raises(DetectionError, match=message):
        found(outputs, detector)
