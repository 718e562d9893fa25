"""A served network with a head and a tail on the host: the model's own metadata, and answers that pass through both."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import serving
from host_parts import head_and_tail, pictures, suppressed
from networks import Network
from PIL import Image

from arrayloom.compiler import compile_model
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.client import PredictionClient
from arrayloom.host.serving.core.served_model import Model, Request
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ClientError, ServiceError
from arrayloom.host.vision import RecipeError


def _of_bytes() -> onnx.ModelProto:
    """``x`` float [N, 3, 8, 8] to ``y``, its channel means as int8 with scale 0.05 and zero point -3."""
    net = Network(opset=17)
    net.quantize("x", 0.02, 128, output="bytes")
    mean = net.node("GlobalAveragePool", [net.dequantize("bytes", 0.02, 128)])
    net.node("Flatten", [net.quantize(mean, 0.05, -3, np.int8)], "y")
    return net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host_parts")
    Bundle.create("parts", compile_model(head_and_tail(), "tiny"), 1, ["one", "two"], "none").save(folder / "parts")
    Bundle.create("kept", compile_model(suppressed(), "tiny")).save(folder / "kept")
    Bundle.create("bytes", compile_model(_of_bytes(), "tiny")).save(folder / "bytes")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[serving.Server]:
    with serving.Server(tmp_path_factory.mktemp("server"), folder / "parts", folder / "kept", folder / "bytes") as running:
        yield running


def test_the_bundle_keeps_both(folder: Path) -> None:
    program = Bundle.load(folder / "parts").program
    assert [node["op"] for node in program.host.to_json()["tail"]] == ["Concat", "Split", "Exp", "Sigmoid"]


def test_a_recipe_must_make_the_models_own_input() -> None:
    with pytest.raises(RecipeError, match="a uint8 or int8 input takes a recipe of pixels: none, yolo"):
        Bundle.create("parts", compile_model(head_and_tail(), "tiny"), recipe="cifar10")
    last = Bundle.create("parts", compile_model(head_and_tail(channels_last=True), "tiny"), recipe="none")
    assert last.program.model_inputs[0].shape == (8, 8, 3)


def test_metadata_are_the_models_own(server: serving.Server) -> None:
    with urllib.request.urlopen(f"{server.url}/v2/models/parts") as answer:
        metadata = json.load(answer)
    assert metadata["inputs"] == [{"name": "picture", "datatype": "UINT8", "shape": [-1, 3, 8, 8]}]
    assert [(port["name"], port["datatype"], port["shape"]) for port in metadata["outputs"]] == [
        ("boxes", "FP32", [-1, 64, 4]), ("scores", "FP32", [-1, 64, 2])]


def test_answers_go_through_head_and_tail(server: serving.Server, tmp_path: Path) -> None:
    batch = pictures(3, 7)
    wanted = Reference(head_and_tail()).run({"picture": batch})
    with PredictionClient("127.0.0.1", server.port, model_name="parts") as client:
        found = client.score_numpy_arrays({"picture": batch})
        for name, values in wanted.items():
            np.testing.assert_array_equal(found[name], values)
        Image.fromarray(batch[0].transpose(1, 2, 0)).save(tmp_path / "picture.png")
        np.testing.assert_array_equal(client.score_file(tmp_path / "picture.png")["boxes"], wanted["boxes"][0])


def test_requests_are_checked_against_the_models_ports(folder: Path) -> None:
    model = Model.load(folder / "parts")
    with pytest.raises(ServiceError, match="input 'picture': dtype float32 given, uint8 wanted"):
        Request.checked(model, {"picture": pictures(1).astype(np.float32)}, [], Settings())
    with pytest.raises(ServiceError, match="input 'centred' is unknown"):
        Request.checked(model, {"centred": pictures(1)}, [], Settings())


def test_outputs_without_a_common_size_are_refused(server: serving.Server) -> None:
    images = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    with PredictionClient("127.0.0.1", server.port, model_name="kept") as client:
        found = client.score_numpy_arrays({"image": images[:1]})["kept"]
        np.testing.assert_array_equal(found, Reference(suppressed()).run({"image": images[:1]})["kept"])
        with pytest.raises(ClientError, match="output 'kept': its size is not one image's"):
            client.score_numpy_arrays({"image": images})


def test_metadata_say_what_bytes_stand_for(server: serving.Server) -> None:
    with PredictionClient("127.0.0.1", server.port, model_name="bytes") as client:
        (scale, zero_point), = client.encodings().values()
    assert (np.float32(scale), zero_point) == (np.float32(0.05), -3)
    with PredictionClient("127.0.0.1", server.port, model_name="parts") as client:
        assert client.encodings() == {}
