"""SSD's outputs in the forms that exporters write."""

import numpy as np
import pytest

from arrayloom.host.vision.detection import find_boxes
from arrayloom.host.vision.errors import DetectionError

SIZE = (200, 100)
BOX = [0.2, 0.1, 0.6, 0.5]      # ymin, xmin, ymax, xmax
X_FIRST = [0.1, 0.2, 0.5, 0.6]


def found(outputs, **options):
    (seen,) = find_boxes({name: np.asarray(values, np.float32) for name, values in outputs.items()}, SIZE, **options)
    return seen


def assert_box(seen, classes, scores):
    assert seen.classes.tolist() == classes
    np.testing.assert_allclose(seen.scores, scores, rtol=1e-5)
    np.testing.assert_allclose(seen.boxes, [BOX] * len(classes), atol=1e-6)


def pair(row=(0.1, 0.3, 0.6), places=9):
    scores, boxes = np.zeros((1, places, len(row))), np.zeros((1, places, 4))
    scores[0, :, 0], scores[0, 4], boxes[0, 4] = 1, row, X_FIRST
    return {"scores_": scores, "boxes_": boxes}


def test_scores_and_corners_of_all_positions():
    assert_box(found(pair()), [2], [0.6])
    assert_box(found(pair(), threshold=0.2), [2, 1], [0.6, 0.3])
    swapped = {name: values.transpose(0, 2, 1) for name, values in reversed(pair().items())}
    assert_box(found(swapped), [2], [0.6])


def test_corners_in_pixels_and_logits():
    outputs = pair()
    outputs["boxes_"] *= [100, 200, 100, 200]
    with np.errstate(divide="ignore"):
        outputs["scores_"] = np.log(np.maximum(outputs["scores_"], 1e-9))
    assert_box(found(outputs), [2], [0.6])


def test_four_classes_are_distinguished_from_boxes_by_their_sum():
    assert_box(found(pair((0.1, 0.2, 0.1, 0.6))), [3], [0.6])


def test_offsets_need_their_priors():
    rng = np.random.default_rng(0)
    priors = rng.uniform(0.2, 0.6, (9, 4)).astype(np.float32)
    outputs = pair()
    offsets = rng.normal(size=(9, 4))
    centre, extent = np.array([0.3, 0.4]), np.array([0.4, 0.4])
    offsets[4] = [*((centre - priors[4, :2]) / priors[4, 2:] / 0.1), *(np.log(extent / priors[4, 2:]) / 0.2)]
    outputs["boxes_"] = offsets[np.newaxis]
    with pytest.raises(DetectionError, match=r"'boxes_' \[1, 9, 4\]: holds offsets from prior boxes.*--priors"):
        found(outputs)
    assert_box(found(outputs, priors=priors), [2], [0.6])
    with pytest.raises(DetectionError, match=r"priors \(--priors\): hold \[8, 4\].*need \[9, 4\]"):
        found(outputs, priors=priors[:8])


def test_tensorflows_selected_boxes():
    outputs = {"detection_boxes:0": [[BOX, BOX, [0, 0, 1, 1]]], "detection_classes:0": [[7, 3, 1]],
               "detection_scores:0": [[0.9, 0.8, 0.7]], "num_detections:0": [2]}
    assert_box(found(outputs), [7, 3], [0.9, 0.8])


@pytest.mark.parametrize("batched", [False, True])
def test_selected_boxes_as_torchvision_and_the_model_zoo_name_them(batched):
    outputs = {"boxes": [[10, 40, 50, 120], [10, 40, 50, 120]], "labels": [4, 4], "scores": [0.9, 0.6]}
    if batched:
        outputs = {"bboxes": [[X_FIRST, X_FIRST]], "labels": [[4, 4]], "scores": [[0.9, 0.6]]}
    assert_box(found(outputs), [4, 4], [0.9, 0.6])


def test_caffes_detection_output():
    rows = [[0, 3, 0.9, *X_FIRST], [0, 3, 0.8, *X_FIRST], [-1, 0, 0, 0, 0, 0, 0], [1, 3, 0.9, *X_FIRST],
            [0, np.nan, 0.9, *X_FIRST]]
    assert_box(found({"detections": [[rows]]}), [3, 3], [0.9, 0.8])


def test_classes_that_are_none_are_dropped():
    outputs = {"boxes": [[X_FIRST] * 4], "labels": [[np.nan, -1, 1e30, 2]], "scores": [[0.9, 0.9, 0.9, 0.8]]}
    assert_box(found(outputs), [2], [0.8])


@pytest.mark.parametrize(("outputs", "message"), [
    ({"a": np.zeros((1, 9, 3)), "b": np.zeros((1, 8, 4))}, r"detector ssd: the outputs are 'a' \[1, 9, 3\]"),
    ({"boxes": np.zeros((1, 9, 4)), "scores": np.zeros((1, 8)), "labels": np.zeros((1, 9))}, "detector ssd"),
    ({"a": np.ones((1, 9, 4)), "b": np.ones((1, 9, 4))}, "neither holds probabilities alone"),
])
def test_outputs_that_do_not_fit(outputs, message):
    with pytest.raises(DetectionError, match=message):
        find_boxes(outputs, SIZE, "ssd")
