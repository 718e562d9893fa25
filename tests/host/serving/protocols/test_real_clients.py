"""Clients from other projects: tritonclient over both protocols, curl, and TensorFlow Serving's own stubs.

The last need TensorFlow in an environment of its own: ARRAYLOOM_TENSORFLOW names its python.
"""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import serving
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from arrayloom.host.models import digits
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.protocols import tensorflow
from arrayloom.host.vision import preprocess

IMAGE = digits.IMAGES / "digit_3_0705.png"
STUBS = Path(__file__).parent / "tensorflow" / "tensorflow_client.py"


@pytest.fixture(params=[tritonclient.grpc, tritonclient.http], ids=["grpc", "http"])
def triton(request: pytest.FixtureRequest, server: serving.Server) -> tuple[ModuleType, Any]:
    module = request.param
    port = server.port if module is tritonclient.grpc else server.facts["http_port"]
    with module.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield module, client


def test_triton_finds_its_way(triton: tuple[ModuleType, Any]) -> None:
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    client.load_model("digits:1")
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("turned")
    options = {"as_json": True} if triton[0] is tritonclient.grpc else {}
    metadata = client.get_model_metadata("digits", **options)
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"][0]["name"] == "image"
    assert metadata["inputs"][0]["datatype"] == "FP32"
    assert [int(extent) for extent in metadata["inputs"][0]["shape"]] == [-1, 1, 8, 8]
    assert "binary_tensor_data" in client.get_server_metadata(**options)["extensions"]
    index = client.get_model_repository_index(**options)
    states = {(entry["name"], entry["version"]): entry["state"] for entry in (index["models"] if options else index)}
    assert states[("digits", "1")] == "READY"
    assert states[("turned", "1")] == "UNAVAILABLE"


def test_triton_infers(triton: tuple[ModuleType, Any], bundles: dict[str, Bundle]) -> None:
    module, client = triton
    inputs = serving.images(2, seed=9)
    tensor = module.InferInput("image", [2, 1, 8, 8], "FP32")
    tensor.set_data_from_numpy(inputs)
    answer = client.infer("digits", [tensor], model_version="1", request_id="42")
    assert answer.as_numpy("logits").tobytes() == serving.expected(bundles["one"], inputs).tobytes()
    with pytest.raises(InferenceServerException, match="'absent' is unknown; the model's are: logits"):
        client.infer("digits", [tensor], outputs=[module.InferRequestedOutput("absent")])


def test_triton_classifies_an_image(triton: tuple[ModuleType, Any], bundles: dict[str, Bundle]) -> None:
    module, client = triton
    image = module.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([IMAGE.read_bytes()], object))
    best_three = module.InferRequestedOutput("logits", class_count=3)
    answer = client.infer("digits", [image], model_version="1", outputs=[best_three])
    entries = answer.as_numpy("logits")
    logits = serving.expected(bundles["one"], preprocess(IMAGE, "digits"))[0]
    best = np.argsort(-logits, kind="stable")[:3]
    assert [entry.decode() for entry in entries[0]] == [f"{logits[i]:f}:{i}:{i}" for i in best]


def test_triton_http_compresses_and_asks_for_json(server: serving.Server, bundles: dict[str, Bundle]) -> None:
    module, inputs = tritonclient.http, serving.images(1, seed=2)
    tensor = module.InferInput("image", [1, 1, 8, 8], "FP32")
    tensor.set_data_from_numpy(inputs, binary_data=False)
    with module.InferenceServerClient(f"127.0.0.1:{server.facts['http_port']}") as client:
        for algorithm in (None, "gzip", "deflate"):
            answer = client.infer("digits", [tensor], model_version="1", request_compression_algorithm=algorithm,
                                  outputs=[module.InferRequestedOutput("logits", binary_data=False)])
            assert answer.as_numpy("logits").tobytes() == serving.expected(bundles["one"], inputs).tobytes()


def _curl(*arguments: str) -> Any:
    return json.loads(subprocess.run(["curl", "-sS", *arguments], capture_output=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(server: serving.Server, bundles: dict[str, Bundle], tmp_path: Path) -> None:
    url = server.url + tensorflow.STATUS.at("digits", 1)
    expected = serving.expected(bundles["one"], preprocess(IMAGE, "digits"))
    body = tmp_path / "body.json"
    image = {"b64": base64.b64encode(IMAGE.read_bytes()).decode()}
    for content, key in (({"instances": [image]}, "predictions"), ({"instances": [{"image": image}]}, "predictions"),
                         ({"inputs": [image]}, "outputs"), ({"inputs": {"image": [image]}}, "outputs")):
        body.write_text(json.dumps(content))
        answer = _curl("-d", f"@{body}", f"{url}:predict")
        assert np.float32(answer[key]).tobytes() == expected.tobytes()
    assert _curl(url)["model_version_status"][0]["version"] == "1"
    signature = _curl(f"{url}/metadata")["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image"]["dtype"] == "DT_FLOAT"
    assert _curl("-X", "DELETE", url)["error"].startswith("DELETE does not fit")


@pytest.mark.slow
@pytest.mark.skipif("ARRAYLOOM_TENSORFLOW" not in os.environ, reason="ARRAYLOOM_TENSORFLOW names no python with its stubs")
def test_tensorflow_servings_own_stubs(server: serving.Server, bundles: dict[str, Bundle], tmp_path: Path) -> None:
    inputs = serving.images(2, seed=4)
    np.save(tmp_path / "x.npy", inputs)
    run = subprocess.run([os.environ["ARRAYLOOM_TENSORFLOW"], STUBS, f"127.0.0.1:{server.port}", tmp_path / "x.npy", IMAGE,
                          tmp_path / "out.npz"], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    with np.load(tmp_path / "out.npz") as answers:
        assert answers["tensor"].tobytes() == serving.expected(bundles["one"], inputs).tobytes()
        assert answers["image"].tobytes() == serving.expected(bundles["one"], preprocess(IMAGE, "digits")).tobytes()
    assert json.loads(run.stdout) == {"state": "AVAILABLE", "inputs": ["image"], "dtype": "DT_FLOAT",
                                      "bad": "INVALID_ARGUMENT"}
