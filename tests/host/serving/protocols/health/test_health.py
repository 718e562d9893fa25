"""Probes of both protocols while a service starts, swaps and stops."""

import signal
import threading
from pathlib import Path

import asking
import grpc
import pytest
import serving
from asking import RefusedError

from arrayloom.host.serving.protocols.messages import health, oip, tfs

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
STATUS = health.ServingStatus


def _check(server: serving.Server, name: str) -> int:
    request = health.HealthCheckRequest(service=name).SerializeToString()
    return health.HealthCheckResponse.FromString(asking.call_bytes(server, CHECK, request)).status


def test_check(server: serving.Server) -> None:
    for name in ("", "tensorflow.serving.PredictionService", "inference.GRPCInferenceService"):
        assert _check(server, name) == STATUS["SERVING"]
    with pytest.raises(RefusedError, match=r"NOT_FOUND.*'other' is unknown"):
        _check(server, "other")


def test_watch_tells_of_the_stop(bundle_folder: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    first = threading.Event()
    with serving.Server(tmp_path, bundle_folder / "one", "--grace", "5") as server, \
            grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = channel.unary_stream(WATCH)(b"", timeout=60)

        def watch() -> None:
            for answer in stream:
                seen.append(health.HealthCheckResponse.FromString(answer).status)
                first.set()

        thread = threading.Thread(target=watch)
        thread.start()
        assert first.wait(30)
        server.process.send_signal(signal.SIGTERM)
        thread.join(30)
        assert server.process.wait(30) == 0
    assert seen == [STATUS["SERVING"], STATUS["NOT_SERVING"]]


def test_models_states(server: serving.Server) -> None:
    asking.http(server, "/v2/repository/models/digits:1/load", b"")
    request = tfs.GetModelStatusRequest(model_spec=tfs.ModelSpec(name="digits"))
    answer = asking.call_bytes(server, "/tensorflow.serving.ModelService/GetModelStatus", request.SerializeToString())
    states = {each.version: each.state for each in tfs.GetModelStatusResponse.FromString(answer).model_version_status}
    assert states == {1: tfs.State["AVAILABLE"], 2: tfs.State["START"]}
    for name, ready in (("digits", True), ("turned", False)):
        message = oip.ModelReadyRequest(name=name).SerializeToString()
        answer = asking.call_bytes(server, "/inference.GRPCInferenceService/ModelReady", message)
        assert oip.ModelReadyResponse.FromString(answer).ready is ready


def test_a_swap_by_operator_changes_the_default(server: serving.Server, bundles: dict) -> None:
    image = serving.images(1)
    for name, bundle in (("turned", "turned"), ("digits:2", "two"), ("digits:1", "one")):
        asking.http(server, f"/v2/repository/models/{name}/load", b"")
        answer = asking.tfs_grpc(server, asking.Ask({"image": image}, ""))["logits"]
        assert answer.tobytes() == serving.expected(bundles[bundle], image).tobytes()
    with pytest.raises(RefusedError, match='"absent" is unknown'):
        asking.http(server, "/v2/repository/models/absent/load", b"")
