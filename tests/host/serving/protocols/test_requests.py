"""The same requests over every protocol: right answers, and errors that name the fault and the valid values."""

import io
import re

import asking
import numpy as np
import pytest
import serving
from asking import PROTOCOLS, Ask, RefusedError, strings
from PIL import Image

from arrayloom.host.models import digits
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.protocol import GATEWAY_HEADER
from arrayloom.host.serving.protocols import tensorflow
from arrayloom.host.vision import preprocess

IMAGE = (digits.IMAGES / "digit_3_0705.png").read_bytes()
TENSOR = serving.images(1)


def _png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(params=PROTOCOLS)
def ask(request: pytest.FixtureRequest, server: serving.Server):
    return lambda case: PROTOCOLS[request.param](server, case)


def test_tensors_are_answered_as_a_session_does(ask, bundles: dict[str, Bundle]) -> None:
    inputs = serving.images(3, seed=5)
    for name, version, bundle in (("digits", 1, "one"), ("digits", 2, "two"), ("turned", None, "turned")):
        answer = ask(Ask({"image": inputs}, name, version))["logits"]
        assert answer.tobytes() == serving.expected(bundles[bundle], inputs).tobytes()


@pytest.mark.parametrize("protocol", ["tfs-grpc", "oip-grpc"])
def test_no_model_is_the_default_one(server: serving.Server, protocol: str, bundles: dict[str, Bundle]) -> None:
    answer = PROTOCOLS[protocol](server, Ask({"image": TENSOR}, model=""))["logits"]
    assert answer.tobytes() == serving.expected(bundles["one"], TENSOR).tobytes()


def test_images_are_preprocessed(ask, bundles: dict[str, Bundle]) -> None:
    other = (digits.IMAGES / "digit_8_0500.png").read_bytes()
    inputs = np.concatenate([preprocess(data, "digits") for data in (IMAGE, other)])
    answer = ask(Ask({"image": strings(IMAGE, other)}))["logits"]
    assert answer.tobytes() == serving.expected(bundles["one"], inputs).tobytes()
    assert list(answer.argmax(1)) == [3, 8]


def test_names_with_tensorflows_suffix(ask) -> None:
    np.testing.assert_array_equal(ask(Ask({"image:0": TENSOR}))["logits"], ask(Ask({"image": TENSOR}))["logits"])


BAD = {
    "input name": (Ask({"imag": TENSOR}), 400, r"input 'imag' is unknown; the model's are: image"),
    "no input": (Ask({}), 400, r"input 'image' is missing; the model takes image: float32 \[N, 1, 8, 8\]|body|\[\]"),
    "input twice": (Ask({"image": TENSOR, "image:0": TENSOR}), 400, "given twice"),
    "shape": (Ask({"image": np.zeros((1, 8, 8), np.float32)}), 400, r"shape \[1, 8, 8\] given, \[N, 1, 8, 8\] wanted"),
    "extent": (Ask({"image": np.zeros((1, 1, 8, 9), np.float32)}), 400, r"shape \[1, 1, 8, 9\] given"),
    "batch": (Ask({"image": np.zeros((9, 1, 8, 8), np.float32)}), 400, r"'image': 9}; give .* from 1 to 8"),
    "infinite": (Ask({"image": TENSOR * np.float32(np.inf)}), 400, "NaN or infinity|not JSON"),
    "no image": (Ask({"image": strings(b"text")}), 400, "not a JPEG, PNG or BMP"),
    "no image among others": (Ask({"image": strings(IMAGE, b"text", IMAGE)}), 400,
                              "image 1 of 3, counted from 0: image of 4 bytes: is not a JPEG, PNG or BMP"),
    "cut image": (Ask({"image": strings(IMAGE[:60])}), 400, "damaged or truncated"),
    "empty image": (Ask({"image": strings(b"")}), 400, "empty string is not an image"),
    "many pixels": (Ask({"image": strings(_png(300, 200))}), 400, "its pixels are more than the 40,000 accepted"),
    "large image": (Ask({"image": strings(IMAGE + bytes(20_000))}), 400, "at most 20000 are accepted"),
    "model": (Ask({"image": TENSOR}, "absent"), 404, r'model "absent" is unknown; known: digits, turned'),
    "version": (Ask({"image": TENSOR}, "digits", 9), 404, "model digits has no version 9; known: 1, 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(ask, case: str) -> None:
    request, code, message = BAD[case]
    with pytest.raises(RefusedError) as refused:
        ask(request)
    assert (refused.value.code, bool(re.search(message, refused.value.message))) == (code, True), refused.value.message


@pytest.mark.parametrize("protocol", ["tfs-grpc", "oip-grpc"])
def test_dtype(server: serving.Server, protocol: str) -> None:
    with pytest.raises(RefusedError, match="dtype float64 given, float32 wanted"):
        PROTOCOLS[protocol](server, Ask({"image": TENSOR.astype(np.float64)}))


def test_dtype_in_json(server: serving.Server) -> None:
    with pytest.raises(RefusedError, match="dtype int32 given, float32 wanted"):
        asking.oip_http(server, Ask({"image": np.zeros((1, 1, 8, 8), np.int32)}))


@pytest.mark.parametrize("protocol", ["tfs-grpc", "oip-grpc", "oip-http"])
def test_outputs_by_name(server: serving.Server, protocol: str) -> None:
    ask = PROTOCOLS[protocol]
    assert list(ask(server, Ask({"image": TENSOR}, outputs=["logits"]))) == ["logits"]
    assert list(ask(server, Ask({"image": TENSOR}, outputs=["logits:0"]))) == ["logits:0"]
    with pytest.raises(RefusedError, match="output 'probabilities' is unknown; the model's are: logits"):
        ask(server, Ask({"image": TENSOR}, outputs=["probabilities"]))


def test_unknown_paths(server: serving.Server) -> None:
    for path in ("/index.html", "/v1/models", "/v2/models/digits/explain", "/v1/models/digits:classify", "/../etc/passwd"):
        with pytest.raises(RefusedError) as refused:
            asking.http(server, path)
        assert refused.value.code in (404, 405)
    for name in ("..%2f..%2fetc%2fpasswd", "%00", "a" * 3000):
        with pytest.raises(RefusedError, match="is unknown; known: digits, turned"):
            asking.http(server, tensorflow.STATUS.at(name))


def test_wrong_route_is_not_answered(server: serving.Server) -> None:
    assert asking.tfs_grpc(server, Ask({"image": TENSOR}, headers={GATEWAY_HEADER: "/api/v1/service/arrayloom"}))
    with pytest.raises(RefusedError, match=r"NOT_FOUND.*this service is arrayloom"):
        asking.tfs_grpc(server, Ask({"image": TENSOR}, headers={GATEWAY_HEADER: "/api/v1/service/other"}))
