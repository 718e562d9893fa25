"""Tensors of the Open Inference Protocol: exact values, and impossible claims refused."""

import arrays
import numpy as np
import pytest

from arrayloom.host.serving.errors import MessageError
from arrayloom.host.serving.protocols.arrays import strings
from arrayloom.host.serving.protocols.open_inference import tensors
from arrayloom.host.serving.protocols.open_inference.messages import oip


@pytest.mark.parametrize("dtype", arrays.NUMBERS, ids=str)
def test_every_dtype_comes_back(dtype: np.dtype) -> None:
    values = arrays.values(dtype)
    name = tensors.datatype(dtype)
    back = tensors.from_raw(tensors.to_raw(values), name, [2, 3, 4])
    assert (back.dtype, back.tobytes()) == (values.dtype, values.tobytes())
    if name in tensors.CONTENTS:
        contents = oip.InferTensorContents()
        getattr(contents, tensors.CONTENTS[name]).extend(values.ravel().tolist())
        back = tensors.from_list(getattr(contents, tensors.CONTENTS[name]), name, [2, 3, 4])
        assert (back.dtype, back.tobytes()) == (values.dtype, values.tobytes())


def test_bytes_on_the_wire() -> None:
    """Known bytes of the public protocol: field numbers and types as other libraries encode them."""
    infer = oip.ModelInferRequest(model_name="m", id="7", raw_input_contents=[b"\x01"])
    assert infer.SerializeToString().hex() == "0a016d1a01373a0101"


def test_strings() -> None:
    images = [b"", b"abc", bytes(range(256))]
    raw = tensors.to_raw(strings(images))
    assert list(tensors.from_raw(raw, "BYTES", [3])) == images
    for cut in range(1, len(raw)):
        with pytest.raises(MessageError, match=r"ends inside|strings of data given"):
            tensors.from_raw(raw[:cut], "BYTES", [3])
