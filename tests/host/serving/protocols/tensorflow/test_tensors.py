"""TensorFlow's tensors: exact values, and impossible claims refused."""

import arrays
import numpy as np
import pytest

from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import tfs


@pytest.mark.parametrize("dtype", arrays.NUMBERS, ids=str)
def test_every_dtype_comes_back(dtype: np.dtype) -> None:
    values = arrays.values(dtype)
    for make in (tensors.from_array, tensors.from_content):
        tensor = tfs.TensorProto.FromString(make(values).SerializeToString())
        back = tensors.to_array(tensor)
        assert (back.dtype, back.shape, back.tobytes()) == (values.dtype, values.shape, values.tobytes())


def test_floats_are_in_the_list_that_every_client_reads() -> None:
    values = np.float32([[1.5, -2]])
    assert list(tensors.from_array(values).float_val) == [1.5, -2]


def test_bytes_on_the_wire() -> None:
    """Known bytes of the public protocol: field numbers and types as other libraries encode them."""
    request = tfs.PredictRequest()
    request.inputs["x"].CopyFrom(tensors.from_array(np.float32([1])))
    assert request.SerializeToString().hex() == "12130a0178120e0801120412020801" + "2a040000803f"
    spec = tfs.ModelSpec(name="m", version={"value": 5}, signature_name="s")
    assert spec.SerializeToString().hex() == "0a016d120208051a0173"


def test_strings() -> None:
    images = [b"", b"abc", bytes(range(256))]
    assert list(tensors.to_array(tensors.from_strings(images))) == images


def test_one_value_stands_for_all() -> None:
    tensor = tfs.TensorProto(dtype=1, float_val=[2.5])
    tensors.set_shape(tensor.tensor_shape, (2, 3))
    np.testing.assert_array_equal(tensors.to_array(tensor), np.full((2, 3), 2.5, np.float32))


def test_a_scalar_without_a_value_is_zero() -> None:
    tensor = tfs.TensorProto(dtype=1)
    tensor.tensor_shape.SetInParent()
    assert tensors.to_array(tensor).tolist() == 0
    tensor.float_val.append(2.5)
    assert tensors.to_array(tensor).tolist() == 2.5
