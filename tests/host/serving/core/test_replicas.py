"""Replicas that end, hang or must stop: accepted requests are answered, or refused with the reason."""

import os
import signal
import threading
import time
from pathlib import Path

import asking
import numpy as np
import pytest
import serving
from asking import Ask, RefusedError

from arrayloom.host.runtime.session import Session
from arrayloom.host.serving import Bundle
from arrayloom.host.serving.client import ClientError, PredictionClient, Retries
from arrayloom.host.serving.core.http_server import METRICS

IMAGES = serving.images(48)
SLOW = ["--backend", "rtl"]     # a run of this many images takes a second or two


class Asking(threading.Thread):
    """A pending request for many images."""

    def __init__(self, server: serving.Server) -> None:
        super().__init__()
        self._server = server
        self.answer: np.ndarray | None = None
        self.error: ClientError | None = None
        self.start()

    def run(self) -> None:
        with PredictionClient("127.0.0.1", self._server.port, retries=Retries(tries=1), timeout=120) as client:
            try:
                self.answer = client.score_numpy_arrays({"image": IMAGES}, "logits")
            except ClientError as error:
                self.error = error


def _wait_for(server: serving.Server, text: str) -> None:
    end = time.monotonic() + 60
    while text not in asking.http(server, METRICS.path).decode():
        assert time.monotonic() < end, text
        time.sleep(0.01)


def _kill(server: serving.Server) -> None:
    for replica in server.replicas():
        os.kill(replica, signal.SIGKILL)


def test_lost_runs_are_repeated_but_not_for_ever(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    answer = serving.expected(bundles["one"], IMAGES)
    with serving.Server(tmp_path, bundle_folder / "one", "--attempts", "2", *SLOW) as server:
        request = Asking(server)
        _wait_for(server, "arrayloom_requests_in_flight 1.0")
        _kill(server)
        request.join()
        assert request.answer is not None
        assert request.answer.tobytes() == answer.tobytes()
        request = Asking(server)
        for _ in range(2):
            _wait_for(server, "arrayloom_requests_in_flight 1.0")
            _kill(server)
            time.sleep(0.2)
        request.join()
        assert request.error is not None
        assert request.error.code == "UNAVAILABLE"
        assert "lost in each of 2 runs" in str(request.error)
        _wait_for(server, "arrayloom_ready 1.0")
        assert len(server.events("replica_lost")) == 3
        request = Asking(server)
        _wait_for(server, "arrayloom_requests_in_flight 1.0")
        assert server.replicas()
        server.process.send_signal(signal.SIGTERM)      # a graceful stop finishes accepted requests
        request.join()
        assert request.answer is not None
        assert request.answer.tobytes() == answer.tobytes()
        assert server.process.wait(60) == 0
    assert server.survivors() == []


def test_a_spare_stands_in_for_a_replica(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    """Without one, a request waits until a new process has started and loaded its model."""
    answer = serving.expected(bundles["one"], IMAGES[:1])

    def identifiers() -> dict[str, int]:
        lines = asking.http(server, METRICS.path).decode().splitlines()
        roles = [line.split('"')[1] for line in lines if line.startswith("arrayloom_resident_memory_bytes{")]
        return dict.fromkeys(roles, 0)

    with serving.Server(tmp_path, bundle_folder / "one", "--spares", "1") as server:
        waits = []
        for _ in range(3):
            _wait_for(server, 'process="spare 0"')
            before = server.replicas()
            assert set(identifiers()) == {"service", "replica 0", "spare 0"}
            os.kill(before[0], signal.SIGKILL)      # the older process is the replica
            begin = time.monotonic()
            assert asking.tfs_grpc(server, Ask({"image": IMAGES[:1]}))["logits"].tobytes() == answer.tobytes()
            waits.append(time.monotonic() - begin)
        assert min(waits) < 1
        assert len(server.events("replica_lost")) == 3
        server.replicas()
    assert server.survivors() == []


def test_a_lost_spare_is_replaced(bundle_folder: Path, tmp_path: Path) -> None:
    """Otherwise no spare would be ready for the next lost replica."""
    with serving.Server(tmp_path, bundle_folder / "one", "--spares", "1") as server:
        _wait_for(server, 'process="spare 0"')
        replica, spare = server.replicas()
        os.kill(spare, signal.SIGKILL)
        end = time.monotonic() + 30
        while len(found := server.replicas()) < 2 or spare in found:
            assert time.monotonic() < end, found
            time.sleep(0.05)
        assert found[0] == replica
        assert not server.events("replica_lost")


def test_runs_that_take_too_long(bundle_folder: Path, tmp_path: Path) -> None:
    with serving.Server(tmp_path, bundle_folder / "one", "--device-timeout", "0.05", "--grace", "0.2", *SLOW) as server:
        request = Asking(server)
        request.join()
        assert request.error is not None
        assert request.error.code == "DEADLINE_EXCEEDED"
        assert "took longer than 0.05 s" in str(request.error)


@pytest.mark.parametrize(("backend", "images"), [("emulator", 30_000), ("rtl", 600)])
def test_runs_that_no_one_waits_for_end_early(bundle_folder: Path, tmp_path: Path, backend: str, images: int) -> None:
    """After a passed deadline or a lost client, the next request does not wait for the rest of the batch.

    A plan can be stopped between its steps, the RTL between images.
    """
    batch = np.repeat(serving.images(1), images, 0)
    with serving.Server(tmp_path, bundle_folder / "one", "--max-batch", str(images), "--backend", backend) as server:
        with PredictionClient("127.0.0.1", server.port, retries=Retries(tries=1)) as client:
            begin = time.monotonic()
            client.score_numpy_arrays({"image": batch[:images // 30]})
            whole = 30 * (time.monotonic() - begin)
        for timeout in (0.3, 0.5):
            with PredictionClient("127.0.0.1", server.port, retries=Retries(tries=1), timeout=timeout) as client, \
                    pytest.raises(ClientError, match="DEADLINE_EXCEEDED"):
                client.score_numpy_arrays({"image": batch})
            begin = time.monotonic()
            assert asking.tfs_grpc(server, Ask({"image": IMAGES[:1]}))
            assert time.monotonic() - begin < max(1.0, whole / 4)
        assert not server.events("replica_lost")


def test_a_replica_that_overstays_is_replaced(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    """A replica stuck within an image, simulated by a stopped process."""
    answer = serving.expected(bundles["one"], IMAGES[:1])
    with serving.Server(tmp_path, bundle_folder / "one") as server:
        assert asking.tfs_grpc(server, Ask({"image": IMAGES[:1]}))["logits"].tobytes() == answer.tobytes()
        (replica,) = server.replicas()
        os.kill(replica, signal.SIGSTOP)
        with PredictionClient("127.0.0.1", server.port, retries=Retries(tries=1), timeout=0.3) as client, \
                pytest.raises(ClientError, match="DEADLINE_EXCEEDED"):
            client.score_numpy_arrays({"image": IMAGES[:1]})
        begin = time.monotonic()
        assert asking.tfs_grpc(server, Ask({"image": IMAGES[:1]}))["logits"].tobytes() == answer.tobytes()
        assert time.monotonic() - begin < 20
        (lost,) = server.events("replica_lost")
        assert "with a run that no one waited for" in lost["message"]


def test_models_that_cannot_be_loaded(bundle_folder: Path, bundles: dict[str, Bundle], tmp_path: Path) -> None:
    """A bundle damaged after the start is refused by its digest, and the service continues with the other one."""
    bundles["turned"].save(tmp_path / "turned")
    with serving.Server(tmp_path, bundle_folder / "one", tmp_path / "turned") as server:
        (tmp_path / "turned" / "program.loom").write_bytes(b"damaged")
        for _ in range(2):
            with pytest.raises(RefusedError, match=r"program\.loom is damaged") as refused:
                asking.oip_http(server, Ask({"image": IMAGES[:1]}, "turned"))
            assert refused.value.code == 503
        with pytest.raises(RefusedError, match=r"program\.loom is damaged"):
            asking.load(server, "turned")
        answer = asking.tfs_grpc(server, Ask({"image": IMAGES[:1]}, ""))["logits"]
        assert answer.tobytes() == serving.expected(bundles["one"], IMAGES[:1]).tobytes()


def test_a_service_on_the_rtl(bundle_folder: Path, bundles: dict[str, Bundle], tmp_path: Path) -> None:
    """The same bytes as on the emulator, and cycles counted by the hardware."""
    with Session(bundles["two"].program, bundles["two"].program.configuration, "rtl") as session:
        direct = session.run({"image": IMAGES[:2]})["logits"]
        assert session.report is not None
    with serving.Server(tmp_path, bundle_folder / "two", "--backend", "rtl") as server:
        answer = asking.oip_grpc(server, Ask({"image": IMAGES[:2]}))["logits"]
        metrics = asking.http(server, METRICS.path).decode()
    assert answer.tobytes() == direct.tobytes() == serving.expected(bundles["two"], IMAGES[:2]).tobytes()
    counted = [line.split()[-1] for line in metrics.splitlines() if line.startswith("arrayloom_simulated_cycles_total{")]
    assert [float(cycles) for cycles in counted] == [session.report.cycles]
