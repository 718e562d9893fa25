"""The client against a scripted service: requests, results, and retries."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest

from arrayloom.host.serving.client import ClientError, PredictionClient, Retries, client_from_service
from arrayloom.host.serving.protocols.tensorflow import tensors

UNAVAILABLE, INVALID = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT
ONE, TWO = np.float32([[1, 2]]), np.int8([[-3]])


def _client(script: Any, pauses: list[float] | None = None, **options: Any) -> PredictionClient:
    retries = Retries(sleep=(pauses if pauses is not None else []).append)
    return PredictionClient("127.0.0.1", script.port, **{"retries": retries, **options})


def test_outputs_come_as_they_are_asked_for(script: Any, answering: Callable[..., Any]) -> None:
    script.steps = [answering(a=ONE), answering(a=ONE, b=TWO), answering(a=ONE, b=TWO),
                    answering(**{"a:0": ONE})]
    with _client(script) as client:
        np.testing.assert_array_equal(client.score_numpy_arrays({"x": ONE}, "a"), ONE)
        several = client.score_numpy_arrays({"x": ONE}, ["b", "a"])
        assert list(several) == ["b", "a"]
        assert several["b"].dtype == np.int8
        assert list(client.score_numpy_arrays({"x": ONE})) == ["a", "b"]
        np.testing.assert_array_equal(client.score_numpy_arrays({"x:0": ONE}, "a:0"), ONE)
    assert [list(request.output_filter) for request in script.requests] == [["a"], ["b", "a"], [], ["a:0"]]


def test_what_is_sent(script: Any, answering: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "image.jpg").write_bytes(b"jpeg")
    script.steps = [answering(a=ONE)] * 4
    with _client(script) as client:
        client.score_file(tmp_path / "image.jpg", "images")
        client.score_image(b"png", "images")
        client.score_numpy_arrays({"x": ONE})
        client.score_tensors({"x": tensors.from_array(TWO)})
    file, image, array, tensor = (next(iter(request.inputs.values())) for request in script.requests)
    assert (list(file.string_val), list(image.string_val)) == ([b"jpeg"], [b"png"])
    assert [dim.size for dim in file.tensor_shape.dim] == [1]
    assert array.tensor_content == ONE.tobytes()
    assert list(tensor.int_val) == [-3]
    assert all(request.model_spec.name == "" for request in script.requests)


def test_one_image_has_no_batch_axis(script: Any, answering: Callable[..., Any], tmp_path: Path) -> None:
    """Only for a model that takes one image; a batch of one stays a batch, as do arrays for other vendors' servers."""
    (tmp_path / "image.jpg").write_bytes(b"jpeg")
    script.steps = [answering(a=ONE, b=TWO, c=np.float32(3))] * 7
    with _client(script) as client:
        for found in (client.score_file(tmp_path / "image.jpg", "x", "a"), client.score_image(b"jpeg", "x", "a")):
            np.testing.assert_array_equal(found, ONE[0])
        shapes = {name: values.shape for name, values in client.score_image(b"jpeg", "x").items()}
        assert shapes == {"a": (2,), "b": (1,), "c": ()}
        assert client.score_image(b"jpeg", "x", ["b", "a"])["b"].shape == (1,)
        assert client.score_numpy_arrays({"x": ONE}, "a").shape == ONE.shape
        assert client.score_numpy_arrays(input_map={"x": ONE})["a"].shape == ONE.shape
        assert client.score_tensors({"x": tensors.from_array(ONE)}, "a").shape == ONE.shape


def test_key_route_and_model(script: Any, answering: Callable[..., Any]) -> None:
    script.steps = [answering(a=ONE)] * 2
    options = {"access_token": "KEY", "service_name": "shop", "model_name": "m", "model_version": 3}
    with _client(script) as plain, _client(script, **options) as full:
        plain.score_numpy_arrays({"x": ONE})
        full.score_numpy_arrays({"x": ONE})
    assert not {"authorization", "x-ms-aml-grpc-service-route"} & set(script.metadata[0])
    assert script.metadata[1]["authorization"] == "Bearer KEY"
    assert script.metadata[1]["x-ms-aml-grpc-service-route"] == "/api/v1/service/shop"
    assert (script.requests[1].model_spec.name, script.requests[1].model_spec.version.value) == ("m", 3)


def test_unavailable_is_tried_five_times(script: Any, answering: Callable[..., Any]) -> None:
    pauses: list[float] = []
    script.steps = [UNAVAILABLE] * 4 + [answering(a=ONE)] + [UNAVAILABLE] * 5
    with _client(script, pauses) as client:
        np.testing.assert_array_equal(client.score_numpy_arrays({"x": ONE}, "a"), ONE)
        assert pauses == [1, 2, 4, 8]
        with pytest.raises(ClientError, match="UNAVAILABLE: scripted") as error:
            client.score_numpy_arrays({"x": ONE})
    assert error.value.code == "UNAVAILABLE"
    assert len(script.requests) == 10
    assert pauses == [1, 2, 4, 8] * 2


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode
                                  if code not in (UNAVAILABLE, grpc.StatusCode.OK)])
def test_nothing_else_is_tried_again(script: Any, code: grpc.StatusCode) -> None:
    script.steps = [code]
    with _client(script) as client, pytest.raises(ClientError, match=code.name):
        client.score_numpy_arrays({"x": ONE})
    assert len(script.requests) == 1


def test_retries_are_settable(script: Any) -> None:
    pauses: list[float] = []
    script.steps = [UNAVAILABLE] * 3
    retries = Retries(tries=3, first_pause=0.5, sleep=pauses.append)
    with _client(script, retries=retries) as client, pytest.raises(ClientError):
        client.score_numpy_arrays({"x": ONE})
    assert pauses == [0.5, 1]
    for wrong in ({"tries": 0}, {"first_pause": -1}):
        with pytest.raises(ValueError, match="must be at least 1"):
            Retries(**wrong)


def test_what_never_leaves(script: Any, tmp_path: Path) -> None:
    with _client(script) as client:
        with pytest.raises(ClientError, match=r"absent\.jpg: cannot be read"):
            client.score_file(tmp_path / "absent.jpg", "x")
        with pytest.raises(ClientError, match="input 'x': dtype complex128 cannot be sent"):
            client.score_numpy_arrays({"x": np.zeros(1, complex)})
    assert script.requests == []


def test_a_client_for_a_service(script: Any, answering: Callable[..., Any]) -> None:
    script.steps = [answering(a=ONE)] * 2
    address = SimpleNamespace(reachable="127.0.0.1", port=script.port, tls=False)
    for enabled in (True, False):
        service = SimpleNamespace(name="shop", address=address, auth_enabled=enabled, get_keys=lambda: ("first", "second"))
        with client_from_service(service) as client:
            client.score_numpy_arrays({"x": ONE})
    assert [metadata.get("authorization") for metadata in script.metadata] == ["Bearer first", None]
    assert script.metadata[0]["x-ms-aml-grpc-service-route"] == "/api/v1/service/shop"


def test_extras_are_imported_when_they_are_needed() -> None:
    """The command line works without gRPC, and the client without packages that only servers need."""
    script = """
import sys
import arrayloom.host.serving.client, arrayloom.host.serving.errors
import arrayloom.host.serving.protocols.open_inference
from arrayloom.host.cli.main import build_parser
build_parser()
print([name for name in ("grpc", "aiohttp", "prometheus_client") if name in sys.modules])
from arrayloom.host.serving.client import PredictionClient
print([name for name in ("grpc", "aiohttp", "prometheus_client") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.splitlines() == ["[]", "['grpc']"]
