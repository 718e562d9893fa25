"""SSD's postprocessing on the host against the paper's numbers and brute force, and the refusal of each bad argument."""

import numpy as np
import pytest

from arrayloom.host.models.networks import NetworkError
from arrayloom.host.models.networks.ssd import (
    OUTPUTS,
    anchors,
    by_position,
    clip_bboxes,
    decode_bboxes,
    postprocess,
    select_bboxes,
)
from arrayloom.host.vision.class_names import VOC_CLASSES

SIDES = (38, 19, 10, 5, 3, 1)
BOXES = (4, 6, 6, 6, 4, 4)


def test_anchors_of_the_paper():
    maps = anchors(SIDES)
    assert [each.shape for each in maps] == [(side, side, boxes, 4) for side, boxes in zip(SIDES, BOXES, strict=True)]
    assert sum(each.size // 4 for each in maps) == 8732
    first = maps[0][0, 1] * 300
    np.testing.assert_allclose(first[:, :2], [[4, 12]] * 4, rtol=1e-6)
    half = 2**0.5
    np.testing.assert_allclose(first[:, 2:], [[21, 21], [945**0.5] * 2, [21 / half, 21 * half], [21 * half, 21 / half]],
                               rtol=1e-6)
    third = 3**0.5
    np.testing.assert_allclose(maps[2][9, 0, :, :] * 300, [
        [304, 16, 99, 99], [304, 16, (99 * 153)**0.5, (99 * 153)**0.5], [304, 16, 99 / half, 99 * half],
        [304, 16, 99 * half, 99 / half], [304, 16, 99 / third, 99 * third], [304, 16, 99 * third, 99 / third]], rtol=1e-6)


def test_clipping_changes_two_anchors():
    pairs = zip(anchors(SIDES), anchors(SIDES, clip=False), strict=True)
    changed = [(number, *place[:3]) for number, (a, b) in enumerate(pairs) for place in np.argwhere(a != b).tolist()]
    assert changed == [(5, 0, 0, 2), (5, 0, 0, 3)]


def test_37_positions():
    assert anchors((37, *SIDES[1:]))[0][36, 0, 0, 0] == pytest.approx(36.5 * 8 / 300)


def test_decoding_inverts_encoding():
    rng = np.random.default_rng(0)
    bases = rng.uniform(0.2, 0.8, (50, 4)).astype(np.float32)
    top_left, extent = rng.uniform(0, 0.5, (50, 2)), rng.uniform(0.05, 0.5, (50, 2))
    boxes = np.concatenate([top_left, top_left + extent], axis=1)
    centre = top_left + extent / 2
    y, x = ((centre - bases[:, :2]) / bases[:, 2:] / 0.1).T
    height, width = (np.log(extent / bases[:, 2:]) / 0.2).T
    np.testing.assert_allclose(decode_bboxes(np.stack([x, y, width, height], axis=1), bases), boxes, atol=1e-6)


def _silence():
    """Outputs that classify every box as background."""
    logits = [np.zeros((2, side, side, boxes, 21), np.float32) for side, boxes in zip(SIDES, BOXES, strict=True)]
    for each in logits:
        each[..., 0] = 20
    return logits + [np.zeros((*each.shape[:4], 4), np.float32) for each in logits]


def _place(outputs, image, number, y, x, box, label, logit):
    outputs[number][image, y, x, box, label] = logit


def test_finds_what_was_put_there():
    outputs = _silence()
    cat, dog = VOC_CLASSES.index("cat"), VOC_CLASSES.index("dog")
    _place(outputs, 1, 2, 4, 5, 0, cat, 25)     # probability 0.993
    _place(outputs, 1, 2, 4, 5, 1, cat, 21)     # a larger box around it: suppressed, since 99 * 99 / (99 * 123) > 0.45
    _place(outputs, 1, 2, 4, 5, 2, dog, 20.5)
    nothing, found = postprocess(outputs)
    assert len(nothing.classes) == 0
    assert found.classes.tolist() == [cat, dog]
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-5)), 1 / (1 + np.exp(-0.5))], rtol=1e-5)
    centre_y, centre_x = 4.5 * 32 / 300, 5.5 * 32 / 300
    np.testing.assert_allclose(found.boxes[0], [centre_y - 0.165, centre_x - 0.165, centre_y + 0.165, centre_x + 0.165],
                               rtol=1e-5)


def test_thresholds_work():
    outputs = _silence()
    for box, logit in enumerate((21, 20.5, 20.1)):
        _place(outputs, 0, 3, 2, 2, box, 7, logit)
    counts = {threshold: len(postprocess(outputs, threshold, 1.0)[0].classes) for threshold in (0.5, 0.55, 0.7, 0.8)}
    assert counts == {0.5: 3, 0.55: 2, 0.7: 1, 0.8: 0}
    assert [len(postprocess(outputs, 0.5, overlap)[0].classes) for overlap in (1.0, 0.45, 0.0)] == [3, 1, 1]
    assert len(postprocess(outputs, 0.5, 1.0, top=2)[0].classes) == 2


def test_boxes_are_cut_at_the_border():
    outputs = _silence()
    _place(outputs, 0, 5, 0, 0, 2, 3, 30)
    (found, _) = postprocess(outputs)
    assert found.boxes[0, 1] == 0
    assert found.boxes[0, 3] == 1
    np.testing.assert_array_equal(clip_bboxes(np.array([[-1, 0.5, 2, 0.7]], np.float32)), np.float32([[0, 0.5, 1, 0.7]]))


def test_selection_takes_the_best_first_and_never_the_background():
    probabilities = np.array([[0.9, 0.1, 0], [0.1, 0.6, 0.3], [0.2, 0.1, 0.7]], np.float32)
    boxes = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = select_bboxes(probabilities, boxes, 0.25)
    assert found.classes.tolist() == [2, 1, 2]
    assert found.boxes[:, 0].tolist() == [8, 4, 4]


def test_outputs_by_position():
    rng = np.random.default_rng(2)
    outputs = {name: rng.normal(size=(1, boxes * depth, side, side)).astype(np.float32)
               for name, (boxes, depth, side) in zip(OUTPUTS, [(n, d, s) for d in (21, 4) for n, s in zip(
                   BOXES, SIDES, strict=True)], strict=True)}
    maps = by_position(outputs)
    assert maps[1].shape == (1, 19, 19, 6, 21)
    assert maps[1][0, 3, 7, 5, 2] == outputs["classes_1"][0, 5 * 21 + 2, 3, 7]
    assert maps[10][0, 2, 1, 3, 0] == outputs["boxes_4"][0, 3 * 4, 2, 1]


@pytest.mark.parametrize(("arguments", "message"), [
    ({"select_threshold": 1.5}, r"select_threshold 1\.5: must lie between 0 and 1"),
    ({"nms_threshold": -0.1}, r"nms_threshold -0\.1: must lie between 0 and 1"),
    ({"top": 0}, "top 0: must be at least 1"),
])
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(NetworkError, match=message):
        postprocess(_silence(), **arguments)


def test_outputs_that_do_not_fit():
    outputs = _silence()
    with pytest.raises(NetworkError, match="11 outputs given; SSD has 12"):
        postprocess(outputs[:11])
    with pytest.raises(NetworkError, match=r"map 0: classes \[2, 38, 38, 4, 4\] and boxes"):
        postprocess(outputs[6:] + outputs[:6])
