"""Selection of boxes against brute force, and invalid boxes."""

from itertools import product

import numpy as np
import pytest

from arrayloom.host.vision.detection.boxes import Candidates
from arrayloom.host.vision.detection.selection import MOST_BOXES, check_thresholds, iou, select, suppress_bboxes
from arrayloom.host.vision.errors import DetectionError
from arrayloom.host.vision.geometry import Geometry

WHOLE = Geometry.stretched(64, 64)


def candidates(boxes, scores, classes=None, **more):
    boxes, scores = np.array([boxes], np.float32), np.array([scores], np.float32)
    chosen = np.zeros(scores.shape, np.int64) if classes is None else np.array([classes], np.int64)
    return Candidates(boxes, scores, chosen, None, **more)


def crowd(count, seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 0.7, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.3, (count, 2))], axis=1).astype(np.float32)
    return boxes, rng.permutation(np.linspace(0.01, 0.99, count)).astype(np.float32), rng.integers(0, 4, count)


def test_overlap():
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 3, 3], [0, 0, 1, 2], [1, 1, 1, 1]], np.float32)
    np.testing.assert_allclose(iou(box, others), [1, 1 / 7, 0, 0.5, 0])
    assert iou(others[4], others[4:])[0] == 0


def test_suppression_is_that_of_brute_force():
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 0.7, (120, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.3, (120, 2))], axis=1).astype(np.float32)
    classes = rng.integers(1, 4, 120)
    for threshold in (0.0, 0.3, 0.45, 1.0):
        kept = []
        for place in range(120):
            rivals = [other for other in kept if classes[other] == classes[place]]
            if all(iou(boxes[other], boxes[place:place + 1])[0] <= threshold for other in rivals):
                kept.append(place)
        assert suppress_bboxes(classes, boxes, threshold).tolist() == kept
    assert suppress_bboxes(classes[:0], boxes[:0], 0.5).tolist() == []


def overlap(one, other):
    """Intersection over union of two boxes, in float64."""
    sides = [max(0.0, min(one[axis + 2], other[axis + 2]) - max(one[axis], other[axis])) for axis in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return sides[0] * sides[1] / (sum(areas) - sides[0] * sides[1])


@pytest.mark.parametrize(("seed", "threshold", "least"), [*product(range(4), (0.3, 0.45, 0.7), (0.0, 0.5))])
def test_selection_is_that_of_a_slow_reference(seed, threshold, least):
    boxes, scores, classes = crowd(150, seed)
    kept = []
    for place in sorted(range(150), key=lambda each: -scores[each]):
        rivals = [other for other in kept if classes[other] == classes[place]]
        if scores[place] > least and all(overlap(boxes[other].astype(float), boxes[place].astype(float)) <= threshold
                                         for other in rivals):
            kept.append(place)
    found = select(candidates(boxes, scores, classes), 0, least, threshold, WHOLE)
    np.testing.assert_array_equal(found.boxes, boxes[kept])
    np.testing.assert_array_equal(found.scores, scores[kept])
    assert found.classes.tolist() == classes[kept].tolist()


def test_at_most_300_boxes_of_many():
    side = np.arange(250) / 250
    corners = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([corners, corners + 1 / 300], axis=1)
    scores = np.linspace(0.6, 0.9, len(boxes))
    for suppressed in (False, True):
        found = select(candidates(boxes, scores, suppressed=suppressed), 0, 0.5, 0.45, WHOLE)
        assert len(found.scores) == MOST_BOXES
        np.testing.assert_array_equal(found.scores, scores[::-1][:MOST_BOXES].astype(np.float32))


def test_what_is_no_box_is_dropped_and_the_rest_is_cut():
    inf, nan = np.inf, np.nan
    boxes = [[nan, 0, 1, 1], [0, 0, inf, 1], [0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.5, 0.9], [0.9, 0.9, 0.2, 0.2],
             [2, 2, 3, 3], [-1e30, -2, 0.5, 1e30], [0.6, 0.6, 0.7, 0.7]]
    found = select(candidates(boxes, [0.9, 0.9, nan, 0.9, 0.9, 0.9, 0.8, inf]), 0, 0.5, 0.45, WHOLE)
    np.testing.assert_array_equal(found.boxes, [[0, 0, 0.5, 1]])
    assert found.scores.tolist() == [np.float32(0.8)]


def test_boxes_in_the_grey_are_dropped():
    place = Geometry((64, 64), 16, 0, 32, 64)
    found = select(candidates([[0.0, 0.1, 0.2, 0.3], [0.2, 0, 0.5, 0.5]], [0.9, 0.8]), 0, 0.5, 0.45, place)
    np.testing.assert_allclose(found.boxes, [[0, 0, 0.5, 0.5]], atol=1e-6)


def test_boxes_that_the_network_suppressed_stay():
    boxes = [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.5]]
    assert len(select(candidates(boxes, [0.9, 0.8], suppressed=True), 0, 0.5, 0.45, WHOLE).scores) == 2
    assert len(select(candidates(boxes, [0.9, 0.8]), 0, 0.5, 0.45, WHOLE).scores) == 1


@pytest.mark.parametrize(("values", "message"), [((1.5, 0.5), r"threshold 1\.5"), ((0.5, -1), "iou -1"),
                                                 ((float("nan"), 0.5), "threshold nan")])
def test_thresholds_that_cannot_be(values, message):
    with pytest.raises(DetectionError, match=message):
        check_thresholds(*values)
