"""Health probes over both protocols while a service starts, swaps and stops."""

import signal
import threading
from pathlib import Path
from typing import Any

import asking
import grpc
import pytest
import serving
from asking import RefusedError

from arrayloom.host.serving.core.service import MOST_SMALL
from arrayloom.host.serving.protocols.health.protocol import CHECK, WATCH, health
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_READY, oip
from arrayloom.host.serving.protocols.tensorflow.messages import GET_MODEL_STATUS, tfs

STATUS = health.ServingStatus


def _check(server: serving.Server, name: str) -> int:
    return asking.call(server, CHECK, health.HealthCheckRequest(service=name)).status


def test_check(server: serving.Server) -> None:
    for name in ("", "tensorflow.serving.PredictionService", "inference.GRPCInferenceService"):
        assert _check(server, name) == STATUS["SERVING"]
    with pytest.raises(RefusedError, match=r"NOT_FOUND.*'other' is unknown"):
        _check(server, "other")


def test_watch_reports_the_stop(bundle_folder: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    first = threading.Event()
    with serving.Server(tmp_path, bundle_folder / "one", "--grace", "5") as server, \
            grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = channel.unary_stream(WATCH.path)(b"", timeout=60)

        def watch() -> None:
            for answer in stream:
                seen.append(WATCH.response.FromString(answer).status)
                first.set()

        thread = threading.Thread(target=watch)
        thread.start()
        assert first.wait(30)
        server.process.send_signal(signal.SIGTERM)
        thread.join(30)
        assert server.process.wait(30) == 0
    assert seen == [STATUS["SERVING"], STATUS["NOT_SERVING"]]


def test_models_states(server: serving.Server) -> None:
    asking.load(server, "digits:1")
    request = tfs.GetModelStatusRequest(model_spec=tfs.ModelSpec(name="digits"))
    answer = asking.call(server, GET_MODEL_STATUS, request)
    states = {each.version: each.state for each in answer.model_version_status}
    assert states == {1: tfs.State["AVAILABLE"], 2: tfs.State["START"]}
    for name, ready in (("digits", True), ("turned", False)):
        assert asking.call(server, MODEL_READY, oip.ModelReadyRequest(name=name)).ready is ready


def test_a_swap_by_operator_changes_the_default(server: serving.Server, bundles: dict) -> None:
    image = serving.images(1)
    for name, bundle in (("turned", "turned"), ("digits:2", "two"), ("digits:1", "one")):
        asking.load(server, name)
        answer = asking.tfs_grpc(server, asking.Ask({"image": image}, ""))["logits"]
        assert answer.tobytes() == serving.expected(bundles[bundle], image).tobytes()
    with pytest.raises(RefusedError, match='"absent" is unknown'):
        asking.load(server, "absent")


def _first(stream: Any) -> Any:
    """The first status that a stream reports, or why it is refused."""
    try:
        return WATCH.response.FromString(next(stream)).status
    except grpc.RpcError as error:
        return error.details()


def test_many_health_streams_leave_room_for_other_calls(server: serving.Server) -> None:
    """They would otherwise use up the calls that gRPC accepts at a time."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        streams = [channel.unary_stream(WATCH.path)(b"", timeout=60) for _ in range(100)]
        answers = [_first(stream) for stream in streams]      # they may arrive in any order
        refused = [answer for answer in answers if "close one, or ask for the health with Check" in str(answer)]
        assert len(refused) >= 100 - MOST_SMALL
        assert answers.count(STATUS["SERVING"]) == 100 - len(refused) > 0
        assert _check(server, "") == STATUS["SERVING"]
        for stream in streams:
            stream.cancel()
