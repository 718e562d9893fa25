"""Load while models are swapped and replicas killed: no answer is lost or wrong."""

import time
from pathlib import Path

import load
import numpy as np
import pytest
import serving

from arrayloom.host.serving import Bundle
from arrayloom.host.serving.core.metrics import resident_bytes


def _workload(bundle: Bundle, inputs: np.ndarray, answers: np.ndarray) -> load.Workload:
    return load.Workload(bundle.name, inputs, answers, bundle.program.inputs[0].name, bundle.program.outputs[0].name)


def _digits(bundle: Bundle) -> load.Workload:
    inputs = serving.images(64)
    return _workload(bundle, inputs, serving.expected(bundle, inputs))


def _mixed(rng: np.random.Generator, *parts: tuple[load.Workload, int]) -> list[tuple[load.Workload, int]]:
    requests = [(workload, i % len(workload.inputs)) for workload, count in parts for i in range(count)]
    return [requests[i] for i in rng.permutation(len(requests))]


def _wait_for_losses(server: serving.Server, count: int) -> None:
    end = time.monotonic() + 30
    while len(server.events("replica_lost")) < count and time.monotonic() < end:
        time.sleep(0.05)


def test_swapped_and_killed(bundles: dict[str, Bundle], bundle_folder: Path, tmp_path: Path) -> None:
    first, second = _digits(bundles["one"]), _digits(bundles["turned"])
    assert not (first.answers == second.answers).all(1).any(), "an answer of the wrong model would not show"
    requests = _mixed(np.random.default_rng(1), (first, 120), (second, 80))
    with serving.Server(tmp_path, bundle_folder / "one", bundle_folder / "turned", "--replicas", "2") as server:
        chaos = load.Chaos(server, ["digits", "turned"], swaps=1, kills=1, pause=0.5)
        chaos.start()
        outcome = load.run(server, requests, clients=8, during=chaos)
        chaos.join()
        _wait_for_losses(server, 1)
    assert (chaos.done, chaos.failures) == ({"swap": 1, "kill": 1}, [])
    assert outcome.sent >= 200
    assert (outcome.right, outcome.wrong, outcome.errors) == (outcome.sent, [], [])
    assert len(server.events("replica_lost")) == 1
    assert server.events("switch")


@pytest.mark.slow
def test_ten_thousand(bundles: dict[str, Bundle], bundle_folder: Path, shared_data: Path, tmp_path: Path) -> None:
    """10,000 requests to digits and 100 to ResNet-50 from 32 clients, ten swaps, ten kills; memory does not grow."""
    from arrayloom.compiler import compile_model

    resnet = Bundle.create("resnet50", compile_model(shared_data / "models" / "resnet50_int8_qop.onnx", config="16x16"))
    resnet.save(tmp_path / "resnet50")
    inputs = np.random.default_rng(0).random((4, 3, 224, 224), np.float32)
    second, first = _workload(resnet, inputs, serving.expected(resnet, inputs)), _digits(bundles["one"])
    rng = np.random.default_rng(1)
    options = ["--replicas", "2", "--timeout", "3600", "--turn", "20"]
    with serving.Server(tmp_path, bundle_folder / "one", tmp_path / "resnet50", *options) as server:
        chaos = load.Chaos(server, ["digits", "resnet50"], swaps=10, kills=10, pause=8)
        warm = load.run(server, _mixed(rng, (first, 1000), (second, 4)), clients=32)
        before = resident_bytes(server.process.pid)
        chaos.start()
        outcome = load.run(server, _mixed(rng, (first, 9000), (second, 96)), clients=32, during=chaos)
        chaos.join()
        _wait_for_losses(server, 10)
        after = resident_bytes(server.process.pid)
    assert (chaos.done, chaos.failures) == ({"swap": 10, "kill": 10}, [])
    for part, least in ((warm, 1004), (outcome, 9096)):
        assert part.sent >= least
        assert (part.right, part.wrong, part.errors) == (part.sent, [], [])
    print(f"resident memory of the service: {before} bytes, then {after}")
    assert after < before + (64 << 20)
