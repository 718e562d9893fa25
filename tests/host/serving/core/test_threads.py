"""The setting for the threads of replicas reaches their devices."""

from pathlib import Path

import asking
import pytest
import serving
from asking import Ask

from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core import settings
from arrayloom.host.serving.core.replica import Replica
from arrayloom.host.serving.core.settings import Settings
from arrayloom.host.serving.errors import ServeError
from arrayloom.sim.plan import PlanError


@pytest.mark.parametrize(("cores", "replicas", "threads"), [(1, 1, 1), (8, 1, 8), (8, 3, 2), (8, 8, 1), (2, 5, 1)])
def test_replicas_share_the_cores(cores: int, replicas: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "usable_cores", lambda: cores)
    assert Settings(replicas=replicas).threads_each == threads
    assert Settings(replicas=replicas, threads=5).threads_each == 5


def test_what_is_refused() -> None:
    with pytest.raises(ServeError, match="--threads -1: must be at least 1, or 0"):
        Settings(threads=-1)
    with pytest.raises(ServeError, match="--threads 2: the backend rtl simulates on one thread"):
        Settings(threads=2, backend="rtl")
    assert Settings(threads=1, backend="rtl").threads_each == 1


def test_a_service_gives_them_to_its_replicas(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    images = serving.images(3)
    with serving.Server(tmp_path, bundle_folder / "one", "--threads", "3") as server:
        (replica,) = server.replicas()
        command = Path(f"/proc/{replica}/cmdline").read_bytes().split(b"\0")
        assert command[-2] == b"3"
        assert b"OPENBLAS_NUM_THREADS=3" in Path(f"/proc/{replica}/environ").read_bytes().split(b"\0")
        answer = asking.tfs_grpc(server, Ask({"image": images}))["logits"]
    assert answer.tobytes() == serving.expected(bundles["one"], images).tobytes()


def test_a_model_without_a_plan_is_served_and_logged(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch,
                                                     capfd: pytest.CaptureFixture[str]) -> None:
    threads: list[object] = []

    def fail(*arguments: object) -> None:
        threads.append(arguments[-1])
        raise PlanError("its weights are computed")

    monkeypatch.setattr("arrayloom.host.runtime.planned.Plan", fail)
    replica = Replica("emulator", 1 << 20, lambda: False, threads=5)
    answer, _ = replica.handle({"op": "load", "folder": str(bundle_folder / "one")}, [])
    assert answer["model"] == "digits:1"
    assert '"event": "no_plan"' in capfd.readouterr().err
    assert threads == [5]
