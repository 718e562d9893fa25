"""Triton's extensions through its own client: configuration, statistics, unload and streams."""

import contextlib
import queue
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import serving
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from arrayloom.host.serving import Bundle


@pytest.fixture(params=[tritonclient.grpc, tritonclient.http], ids=["grpc", "http"])
def triton(request: pytest.FixtureRequest, server: serving.Server) -> Iterator[tuple[ModuleType, Any]]:
    yield from _client(request.param, server)


def _client(module: ModuleType, server: serving.Server) -> Iterator[tuple[ModuleType, Any]]:
    port = server.port if module is tritonclient.grpc else server.facts["http_port"]
    with module.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield module, client


def _ask(module: ModuleType, inputs: Any) -> list[Any]:
    tensor = module.InferInput("image", list(inputs.shape), "FP32")
    tensor.set_data_from_numpy(inputs)
    return [tensor]


def _json(module: ModuleType) -> dict[str, bool]:
    return {"as_json": True} if module is tritonclient.grpc else {}


def test_configuration(triton: tuple[ModuleType, Any]) -> None:
    module, client = triton
    answer = client.get_model_config("digits", "1", **_json(module))
    config = answer["config"] if module is tritonclient.grpc else answer
    assert (config["name"], config["platform"], config["max_batch_size"]) == ("digits", "arrayloom_program", 8)
    (entry,), (output,) = config["input"], config["output"]
    assert (entry["name"], entry["data_type"], entry["format"]) == ("image", "TYPE_FP32", "FORMAT_NCHW")
    assert [int(extent) for extent in entry["dims"]] == [1, 8, 8]
    assert (output["name"], [int(extent) for extent in output["dims"]]) == ("logits", [10])
    assert config["parameters"]["preprocess"]["string_value"] == "digits"
    with pytest.raises(InferenceServerException, match="known: digits, turned"):
        client.get_model_config("absent")


def _statistics(module: ModuleType, client: Any, *named: str) -> list[dict[str, Any]]:
    return client.get_inference_statistics(*named, **_json(module)).get("model_stats", [])


def _number(values: dict[str, Any], *path: str) -> int:
    found: Any = values
    for name in path:
        found = found.get(name, {})
    return int(found or 0)


def test_statistics_count_requests_images_and_time(triton: tuple[ModuleType, Any]) -> None:
    module, client = triton
    (before,) = _statistics(module, client, "digits", "1")
    client.infer("digits", _ask(module, serving.images(3)), model_version="1")
    client.infer("digits", _ask(module, serving.images(1)), model_version="1")
    (after,) = _statistics(module, client, "digits", "1")
    more = {path: _number(after, *path) - _number(before, *path) for path in (
        ("inference_count",), ("execution_count",), ("inference_stats", "success", "count"),
        ("inference_stats", "queue", "count"), ("inference_stats", "compute_infer", "count"),
        ("inference_stats", "compute_infer", "ns"), ("inference_stats", "fail", "count"))}
    assert list(more.values())[:5] == [4, 2, 2, 2, 2]
    assert more["inference_stats", "compute_infer", "ns"] > 0
    assert more["inference_stats", "fail", "count"] == 0
    assert {_number(batch, "batch_size") for batch in after["batch_stats"]} >= {1, 3}
    parts = sum(_number(after, "inference_stats", part, "ns") for part in (
        "queue", "compute_input", "compute_infer", "compute_output"))
    assert parts == pytest.approx(_number(after, "inference_stats", "success", "ns"), rel=0.01)
    assert {(each["name"], each["version"]) for each in _statistics(module, client)} == {
        ("digits", "1"), ("digits", "2"), ("turned", "1")}


def test_a_model_is_unloaded_and_loaded_again(bundle_folder: Path, tmp_path: Path) -> None:
    """Requests to the unloaded model fail, those to others succeed on the device."""
    with serving.Server(tmp_path, bundle_folder / "one", bundle_folder / "turned") as server:
        for module in (tritonclient.grpc, tritonclient.http):
            for _, client in _client(module, server):
                client.unload_model("digits")
                assert client.is_server_ready()
                assert not client.is_model_ready("digits")
                assert client.is_model_ready("turned")
                index = client.get_model_repository_index(**_json(module))
                (entry,) = [each for each in (index["models"] if _json(module) else index) if each["name"] == "digits"]
                assert (entry["state"], entry["reason"]) == ("UNAVAILABLE", "unloaded")
                with pytest.raises(InferenceServerException, match=r"digits version 1 is unloaded; load it by"):
                    client.infer("digits", _ask(module, serving.images(1)))
                client.infer("turned", _ask(module, serving.images(1)))
                client.load_model("digits")
                assert client.is_model_ready("digits")
                client.infer("digits", _ask(module, serving.images(1)))
        for _, client in _client(tritonclient.http, server):
            client.unload_model("digits")
            client.unload_model("turned:1")
            assert not client.is_server_ready()
            client.load_model("turned")
            assert client.is_server_ready()


def test_a_stream_answers_each_request_in_order(server: serving.Server, bundles: dict[str, Bundle]) -> None:
    inputs = serving.images(6, seed=3)
    answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for number in range(6):
            name = "absent" if number == 3 else "digits"
            client.async_stream_infer(name, _ask(tritonclient.grpc, inputs[number:number + 1]), model_version="1",
                                      request_id=str(number))
        found = [answers.get(timeout=60) for _ in range(6)]
        client.stop_stream()
    expected = serving.expected(bundles["one"], inputs)
    for number, (result, error) in enumerate(found):
        if number == 3:
            assert "model \"absent\" is unknown" in str(error)
            continue
        assert error is None
        assert result.get_response().id == str(number)
        assert result.as_numpy("logits").tobytes() == expected[number:number + 1].tobytes()
        assert result.get_response().parameters["triton_final_response"].bool_param


def test_only_so_many_streams_are_open_at_a_time(bundle_folder: Path, tmp_path: Path) -> None:
    """Each stream may buffer a message of the largest size, before the service can inspect it."""
    errors: queue.Queue[Any] = queue.Queue()
    with serving.Server(tmp_path, bundle_folder / "one", "--max-message", str(1 << 26), "--memory", "1") as server:
        clients = [tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}") for _ in range(5)]
        for client in clients:
            client.start_stream(lambda **found: errors.put(found["error"]))
            with contextlib.suppress(InferenceServerException):     # a refused stream raises before this
                client.async_stream_infer("digits", _ask(tritonclient.grpc, np.zeros((1, 1, 8, 8), np.float32)))
        found = [errors.get(timeout=60) for _ in clients]
        for client in clients:
            client.stop_stream()
    assert [str(error) for error in found if error is not None and "streams of requests are open already" in str(error)]
    assert sum(error is None for error in found) == 4
