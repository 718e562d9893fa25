"""Messages and tensors: compatible on the wire, exact in value, and nothing believed that cannot be."""

import numpy as np
import pytest

from arrayloom.host.serving.protocols import json_tensors, schema
from arrayloom.host.serving.errors import MessageError
from arrayloom.host.serving.protocols.messages import health, oip, tfs
from arrayloom.host.serving.protocols.open_inference import tensors as open_inference
from arrayloom.host.serving.protocols.tensorflow import tensors as tensorflow_tensors

NUMBERS = [np.dtype(name) for name in ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
                                       "uint32", "uint64", "bool")]


def _values(dtype: np.dtype) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype.kind == "f":
        return rng.standard_normal((2, 3, 4)).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, (2, 3, 4)).astype(bool)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (2, 3, 4), dtype, endpoint=True)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_every_dtype_comes_back(dtype: np.dtype) -> None:
    values = _values(dtype)
    for make in (tensorflow_tensors.from_array, tensorflow_tensors.from_content):
        tensor = tfs.TensorProto.FromString(make(values).SerializeToString())
        back = tensorflow_tensors.to_array(tensor)
        assert (back.dtype, back.shape, back.tobytes()) == (values.dtype, values.shape, values.tobytes())
    name = open_inference.datatype(dtype)
    back = open_inference.from_raw(open_inference.to_raw(values), name, [2, 3, 4])
    assert (back.dtype, back.tobytes()) == (values.dtype, values.tobytes())
    if name in open_inference.CONTENTS:
        contents = oip.InferTensorContents()
        getattr(contents, open_inference.CONTENTS[name]).extend(values.ravel().tolist())
        back = open_inference.from_list(getattr(contents, open_inference.CONTENTS[name]), name, [2, 3, 4])
        assert (back.dtype, back.tobytes()) == (values.dtype, values.tobytes())


def test_floats_are_in_the_list_that_every_client_reads() -> None:
    values = np.float32([[1.5, -2]])
    assert list(tensorflow_tensors.from_array(values).float_val) == [1.5, -2]


def test_bytes_on_the_wire() -> None:
    """Known bytes of the public protocols: field numbers and types as others encode them."""
    request = tfs.PredictRequest()
    request.inputs["x"].CopyFrom(tensorflow_tensors.from_array(np.float32([1])))
    assert request.SerializeToString().hex() == "12130a0178120e0801120412020801" + "2a040000803f"
    spec = tfs.ModelSpec(name="m", version=tfs.Int64Value(value=5), signature_name="s")
    assert spec.SerializeToString().hex() == "0a016d120208051a0173"
    infer = oip.ModelInferRequest(model_name="m", id="7", raw_input_contents=[b"\x01"])
    assert infer.SerializeToString().hex() == "0a016d1a01373a0101"
    assert health.HealthCheckResponse(status=1).SerializeToString().hex() == "0801"


def test_strings() -> None:
    images = [b"", b"abc", bytes(range(256))]
    tensor = tensorflow_tensors.from_strings(images)
    assert list(tensorflow_tensors.to_array(tensor)) == images
    raw = open_inference.to_raw(open_inference.strings(images))
    assert list(open_inference.from_raw(raw, "BYTES", [3])) == images
    for cut in range(1, len(raw)):
        with pytest.raises(MessageError, match=r"ends inside|strings of data given"):
            open_inference.from_raw(raw[:cut], "BYTES", [3])


def test_one_value_stands_for_all() -> None:
    tensor = tfs.TensorProto(dtype=1, float_val=[2.5])
    tensorflow_tensors.set_shape(tensor.tensor_shape, (2, 3))
    np.testing.assert_array_equal(tensorflow_tensors.to_array(tensor), np.full((2, 3), 2.5, np.float32))


@pytest.mark.parametrize("value", [[[1, 2], [3]], [1, [2]], [[[1]], [2]], ["1"], [None], [True, "x"], [{"b64": "YQ=="}, 1],
                                   [{"b64": "YQ=="}, {"c": 1}], {"b64": "%"}])
def test_json_that_is_no_tensor(value: object) -> None:
    with pytest.raises(MessageError):
        json_tensors.to_array(value, np.dtype(np.float32))


def test_json_integers_stay_in_range() -> None:
    assert json_tensors.to_array([[-128, 127]], np.dtype(np.int8)).tolist() == [[-128, 127]]
    for wrong in ([128], [-129], [0.5], [1 << 80]):
        with pytest.raises(MessageError):
            json_tensors.to_array(wrong, np.dtype(np.int8))


def test_json_floats_are_exact() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert json_tensors.to_array(values.tolist(), np.dtype(np.float32)).tobytes() == values.tobytes()


def test_schemas_that_are_not_understood() -> None:
    for text in ("import x;", "message A { int32 b 1; }", 'syntax = "proto2";'):
        with pytest.raises(schema.SchemaError):
            schema._Reader(text).read("x.proto")
