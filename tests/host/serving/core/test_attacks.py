"""Clients that attack a service: it keeps answering, and releases the memory afterwards."""

import time
from pathlib import Path

import asking
import numpy as np
import pytest
import serving
from asking import Ask, RefusedError, call_bytes

from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.http_server import METRICS
from arrayloom.host.serving.core.metrics import resident_bytes
from arrayloom.host.serving.protocols.health.protocol import CHECK
from arrayloom.host.serving.protocols.open_inference.messages import MODEL_INFER
from arrayloom.host.serving.protocols.tensorflow.messages import PREDICT
from benchmarks.service import attacks

MIB = 1 << 20


def _resident(server: serving.Server) -> int:
    return sum(map(resident_bytes, [server.process.pid, *server.children()]))


def _held(server: serving.Server) -> float:
    lines = asking.http(server, METRICS.path).decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("arrayloom_memory_held "))


def _settles(server: serving.Server, most: int, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while (found := _resident(server)) > most:
        assert time.monotonic() < end, f"{found} bytes stay, {most} expected"
        time.sleep(0.2)


def _attacked(folder: Path, bundle_folder: Path, bundles: dict[str, Bundle], size: int, seconds: float) -> dict[str, float]:
    """The 99th percentile of probe times per port under four attackers; honest requests are answered, memory is released."""
    inputs = serving.images(2)
    with serving.Server(folder, bundle_folder / "one") as server:
        before = _resident(server)
        with attacks.Attackers(server, size, 4) as attackers:
            times = attacks.health_times(server, seconds)
            for _ in range(3):
                answer = asking.oip_grpc(server, Ask({"image": inputs}))["logits"]
                assert answer.tobytes() == serving.expected(bundles["one"], inputs).tobytes()
        assert attackers.sent >= 4      # at least one attack by each client, however slow the machine
        _settles(server, before + 200 * MIB)
        assert _held(server) <= 1 << 16      # the memory of the measurement itself
        assert not server.events("failure")
        assert not server.events("replica_lost")
    return {port: float(np.percentile(values, 99)) for port, values in times.items()}


def test_attacks_of_every_kind(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    times = _attacked(tmp_path, bundle_folder, bundles, 4 * MIB, 4)
    assert max(times.values()) < 2      # with margin for other work on the machine


@pytest.mark.slow
def test_attacks_of_the_largest_size(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    times = _attacked(tmp_path, bundle_folder, bundles, 60 * MIB, 30)
    print(f"99th percentile of probes: {times}")
    assert max(times.values()) < 0.25


@pytest.mark.parametrize(("path", "message", "reason"), [
    (PREDICT.path, b"\x12\x00" * 50_000, "a PredictRequest of more than 32768 fields"),
    (MODEL_INFER.path, b"\x2a\x00" * 50_000, "a ModelInferRequest of more than 32768 fields"),
    (MODEL_INFER.path, b"\x2a\x04\x2a\x02\x0a\x00" * 40_000, "a ModelInferRequest of more than 32768 fields"),
    (CHECK.path, b"\x0a\x00" * 50_000, "Check accepts at most 65536"),
])
def test_parts_are_counted_before_they_are_made(server: serving.Server, path: str, message: bytes, reason: str) -> None:
    with pytest.raises(RefusedError, match=f"INVALID_ARGUMENT: .*{reason}"):
        call_bytes(server, path, message)


def test_memory_is_shared_by_both_ports(bundle_folder: Path, tmp_path: Path) -> None:
    """Stalled bodies hold the memory of what they have sent; at the limit, requests are refused but probes answered."""
    options = ["--memory", "2000000", "--max-message", "400000", "--receive-timeout", "3"]
    body = b'{"instances": [' + b" " * 390_000
    with serving.Server(tmp_path, bundle_folder / "one", *options) as server:
        stalled = [attacks.open_stalled(server, body, 399_999) for _ in range(4)]
        end = time.monotonic() + 2
        while _held(server) < 4 * 390_000:
            assert time.monotonic() < end
        with pytest.raises(RefusedError, match=r"requests in flight leave \d+ of the 2000000 bytes") as refused:
            asking.http(server, attacks.V1, body)
        assert refused.value.code == 503
        assert max(max(values) for values in attacks.health_times(server, 0.2).values()) < 2
        for connection in stalled:
            assert b"408" in connection.recv(100)
            connection.close()
        assert asking.oip_http(server, Ask({"image": serving.images(1)}))
        assert _held(server) <= 1 << 16
