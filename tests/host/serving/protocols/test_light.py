"""Which large messages the service parses in its own process: only those that are nearly all plain bytes."""

import numpy as np
import pytest

from arrayloom.host.serving.core.reading import INLINE, LIGHT
from arrayloom.host.serving.protocols.open_inference import reading
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER, oip
from arrayloom.host.serving.protocols.registry import PROTOCOLS
from arrayloom.host.serving.protocols.tensorflow import tensors
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT, tfs

READERS = {name: reader for protocol in PROTOCOLS for name, reader in protocol.readers.items()}
TENSOR = np.zeros((1, 3, 224, 224), np.float32)


def _predict(tensor: object) -> bytes:
    return tfs.PredictRequest(inputs={"image": tensor}).SerializeToString()


def _infer(count: int, content: bytes) -> bytes:
    request = oip.ModelInferRequest(raw_input_contents=[content] * count)
    for index in range(count):
        request.inputs.add(name=f"x{index}", datatype="FP32", shape=[1])
    return request.SerializeToString()


NUMBERS = tfs.TensorProto(dtype=1, float_val=[0.0] * 40_000)
HALVES = tfs.TensorProto(dtype=1, tensor_content=bytes(200_000), float_val=[0.0] * 40_000)
STRINGS = tfs.PredictRequest(output_filter=["a" * 40_000]).SerializeToString()
CUT = _predict(tensors.from_content(TENSOR))[:-1]
"""Its tensor claims one byte more than there is."""

LYING = b"\x0a\xff\xff\xff\xff\x0f" + bytes(2 * INLINE)
"""It claims 4 GiB."""


@pytest.mark.parametrize(("reader", "message", "quick"), [
    (PREDICT, _predict(tensors.from_content(TENSOR)), True),
    (PREDICT, _predict(tensors.from_strings([bytes(1 << 20)])), True),
    (PREDICT, _predict(NUMBERS), False),
    (PREDICT, _predict(HALVES), False),
    (PREDICT, STRINGS, False),
    (PREDICT, CUT, True),      # the parser refuses it at once
    (PREDICT, LYING, False),
    (PREDICT, b"\x12\x00" * INLINE, False),
    (PREDICT, b"\x12\x00" * (INLINE // 2), True),      # short, whatever its content
    (PREDICT, b"\xff" * (INLINE + 1), False),
    (PREDICT, _predict(tensors.from_content(np.zeros(LIGHT // 4, np.float32))), False),
    (MODEL_INFER, _infer(1, TENSOR.tobytes()), True),
    (MODEL_INFER, _infer(40, bytes(1000)), True),
    (MODEL_INFER, _infer(400, bytes(1000)), False),
])
def test_messages(reader: object, message: bytes, quick: bool) -> None:
    assert READERS[reader.reader].is_quick(message, {}) is quick      # type: ignore[attr-defined]


@pytest.mark.parametrize(("facts", "quick"), [
    ({"json_length": "100"}, True),
    ({"json_length": str(INLINE)}, True),
    ({"json_length": str(INLINE + 1)}, False),
    ({"json_length": "9" * 400}, False),
    ({"json_length": "\u0661"}, False),
    ({"json_length": "-1"}, False),
    ({"json_length": None}, False),
    ({"json_length": "100", "encoding": "gzip"}, False),
])
def test_bodies(facts: dict[str, str], quick: bool) -> None:
    assert READERS[reading.HTTP].is_quick(bytes(1 << 20), {"encoding": "identity"} | facts) is quick
