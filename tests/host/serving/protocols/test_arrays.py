"""Nested lists of JSON: exact values, and refusals of lists that are no tensor."""

import numpy as np
import pytest

from arrayloom.host.serving.errors import MessageError
from arrayloom.host.serving.protocols.arrays import from_json


@pytest.mark.parametrize("value", [[[1, 2], [3]], [1, [2]], [[[1]], [2]], ["1"], [None], [True, "x"], [{"b64": "YQ=="}, 1],
                                   [{"b64": "YQ=="}, {"c": 1}], {"b64": "%"}])
def test_json_that_is_no_tensor(value: object) -> None:
    with pytest.raises(MessageError):
        from_json(value, np.dtype(np.float32))


def test_json_integers_stay_in_range() -> None:
    assert from_json([[-128, 127]], np.dtype(np.int8)).tolist() == [[-128, 127]]
    for wrong in ([128], [-129], [0.5], [1 << 80]):
        with pytest.raises(MessageError):
            from_json(wrong, np.dtype(np.int8))


def test_json_floats_are_exact() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert from_json(values.tolist(), np.dtype(np.float32)).tobytes() == values.tobytes()


def test_numbers_are_no_bytes() -> None:
    with pytest.raises(MessageError, match="bytes are written as"):
        from_json([1, 2.5], np.dtype(object))
