"""Host steps as data: they read exactly what they write."""

import json
from typing import Any

import numpy as np
import pytest

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_steps import (
    HOST_STEPS,
    Dequantize,
    HostStep,
    Quantize,
    QuantizedSoftmax,
    Reshape,
    Softmax,
    Transpose,
    step_from_json,
)

STEPS = [
    (Quantize(0.25, 3, "int8"), {"op": "quantize", "scale": 0.25, "zero_point": 3, "dtype": "int8"}),
    (Dequantize(float(np.float32(0.1)), -7), {"op": "dequantize", "scale": float(np.float32(0.1)), "zero_point": -7}),
    (Softmax(1), {"op": "softmax", "axis": 1}),
    (QuantizedSoftmax(1, 0.5, 2.0**-8, 0),
     {"op": "quantizedsoftmax", "axis": 1, "x_scale": 0.5, "y_scale": 2.0**-8, "y_zero": 0}),
    (Reshape((2, 3)), {"op": "reshape", "shape": [2, 3]}),
    (Transpose((0, 2, 1)), {"op": "transpose", "perm": [0, 2, 1]}),
]


@pytest.mark.parametrize(("step", "value"), STEPS)
def test_tags_and_fields_are_those_of_the_file(step: HostStep, value: dict[str, Any]) -> None:
    """Files contain the tags: a renamed class keeps its tag."""
    written = json.loads(json.dumps(step.to_json()))
    assert written == value
    assert step_from_json(written) == step


def test_every_step_has_a_tag_of_its_own() -> None:
    assert set(HOST_STEPS.values()) == {type(step) for step, _ in STEPS} == set(HostStep.__subclasses__())


@pytest.mark.parametrize(("value", "message"), [
    ({"op": "sigmoid"}, "host step 'sigmoid': unknown; known are quantize, dequantize, softmax"),
    ({"axis": 1}, "host step None: unknown"),
    ({"op": ["softmax"], "axis": 1}, r"host step \['softmax'\]: unknown"),
    ("softmax", "host step 'softmax': must be an object with the key 'op'"),
    ({"op": "softmax", "axis": 1, "base": 2}, "host step 'softmax': field 'base' is unknown; its fields are axis"),
    ({"op": "dequantize", "scale": 0.5}, "host step 'dequantize': field 'zero_point' is missing"),
    ({"op": "softmax", "axis": 1.0}, "host step 'softmax': field 'axis' is 1.0, not an integer"),
    ({"op": "softmax", "axis": True}, "field 'axis' is True, not an integer"),
    ({"op": "dequantize", "scale": "0.5", "zero_point": 0}, "field 'scale' is '0.5', not a number"),
    ({"op": "quantize", "scale": 0.5, "zero_point": 0, "dtype": "int16"}, "field 'dtype' is 'int16', not 'uint8' or 'int8'"),
    ({"op": "reshape", "shape": [2, "N"]}, r"field 'shape' is \[2, 'N'\], not a list of integers"),
])
def test_anything_else_is_refused_by_name(value: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        step_from_json(value)


def test_steps_keep_the_batch_in_front() -> None:
    values = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert Reshape((6,)).apply(values).shape == (2, 6)
    np.testing.assert_array_equal(Transpose((0, 2, 1)).apply(values), values.transpose(0, 2, 1))
    np.testing.assert_array_equal(Dequantize(0.5, 2).apply(values), (values.astype(np.float32) - 2) / 2)
    np.testing.assert_allclose(Softmax(1).apply(values.astype(np.float32)).sum(1), 1, rtol=1e-6)


def test_values_beyond_float32_saturate() -> None:
    values = np.array([3e38, -3e38, 0.26], np.float32)
    np.testing.assert_array_equal(Quantize(1e-3, 3, "int8").apply(values), [127, -128, 127])
    np.testing.assert_array_equal(Quantize(0.5, 3, "uint8").apply(values), [255, 0, 4])
