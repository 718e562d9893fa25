"""``arrayloom verify`` over workers: the same report as without workers, and the refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from interrupts import hear_interrupts
from processes import LONG, wait_until_ended
from ray_nodes import ray_cluster
from segments import digits_on

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.compiler.frontend import import_model
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.pool.local import LocalWorkers, ThisProcess
from arrayloom.host.pool.task import Standing
from arrayloom.host.segments import merge, speed, spread
from arrayloom.host.segments.verify import Verification
from arrayloom.isa.config import PRESETS

DIGITS = ["verify", str(digits.MODEL), "--preprocess", "digits", "--config", "tiny"]
IMAGES = sorted(str(file) for file in digits.IMAGES.glob("*.png"))
RESNET8 = "mlperf_tiny_resnet8_int8_qdq"
OF_TIME = {"wall_seconds", "cycles_per_second", "macs_per_second"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(scope="module")
def resnet8(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A network that two workers verify in three segments on ``tiny``, with an input."""
    model = shared_data / "models" / f"{RESNET8}.onnx"
    (given,) = import_model(onnx.load(model)).graph.model_inputs
    file = tmp_path_factory.mktemp("resnet8") / "image.npy"
    low, high = np.iinfo(given.dtype).min, np.iinfo(given.dtype).max
    np.save(file, np.random.default_rng(5).integers(low, high + 1, (1, *given.shape)).astype(given.dtype))
    return ["verify", str(model), "--input", str(file), "--config", "tiny"]


def same_without_workers(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert found.keys() - wanted.keys() == {"cycles_exact", "segments"}
    for key in wanted.keys() - OF_TIME:
        assert found[key] == wanted[key], key


def test_segments_give_the_report_of_one_run(resnet8: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found, wanted = run(capsys, *resnet8, "--workers", "2"), run(capsys, *resnet8)
    same_without_workers(found, wanted)
    assert found["cycles_exact"] is True
    assert len(found["segments"]) >= 2
    assert [task["segment"] for task in found["segments"]] == list(range(len(found["segments"])))
    assert len({task["process"] for task in found["segments"]}) == 2
    for task, following in pairwise(found["segments"]):
        assert task["last_instruction"] + 1 == following["first_instruction"]
        assert following["first_instruction"] <= task["joins_at"] <= task["end_instruction"]
        assert task["attempts"] == 1
    assert found["segments"][-1]["joins_at"] is None
    assert sum(task["cycles"] for task in found["segments"]) > found["cycles"]


def test_images_are_spread_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Of three images, two go to one worker each."""
    found = run(capsys, *DIGITS, "--input", *IMAGES[:3], "--workers", "2")
    same_without_workers(found, run(capsys, *DIGITS, "--input", *IMAGES[:3]))
    assert [task["image"] for task in found["segments"]] == [0, 1, 2]
    assert [task.get("segment") for task in found["segments"]] == [None, None, 0]
    assert found["cycles_exact"] is True


def test_text_says_over_what_it_is_spread(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DIGITS, "--input", IMAGES[0], "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("cycles       52,756") for line in lines)
    assert lines[-1] == "spread over  1 process of 1 machine"
    assert not any(line.startswith("estimate") for line in lines)


def test_an_estimate_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The cycles are an estimate if the digests never become equal."""
    monkeypatch.setattr(ThisProcess, "count", 2)
    monkeypatch.setattr("arrayloom.host.cli.pool_options.LocalWorkers", lambda _: ThisProcess())
    monkeypatch.setattr(merge, "_digests", lambda *_: {})
    cut, planned = digits_on("tiny").cuts()[60], spread.spread
    monkeypatch.setattr("arrayloom.host.segments.verify.spread", lambda *given: planned(*given[:3], (cut,)))
    assert main([*DIGITS, "--input", IMAGES[0], "--workers", "2"]) == 0
    assert "estimate     the cycles: segments 0 and 1 did not come to the same state of the accelerator" in (
        capsys.readouterr().out.splitlines())
    assert main([*DIGITS, "--input", IMAGES[0], "--workers", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cycles_exact"] is False
    assert found["segments"][0]["joins_at"] is None


def test_a_dry_run_says_what_to_expect(resnet8: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, *resnet8, "--workers", "2", "--dry-run")
    assert found["workers"] == 2
    program = _program(resnet8)
    assert found["predicted_cycles"] == predict(program, PRESETS["tiny"]).cycles
    assert found["simulated_cycles"] == sum(part["cycles"] for part in found["segments"]) > found["predicted_cycles"]
    assert found["predicted_seconds"] == max(part["end_seconds"] for part in found["segments"])
    assert found["predicted_seconds"] < found["predicted_seconds_without_workers"]
    assert found["segments"][0]["first_instruction"] == 0
    assert found["segments"][-1]["end_instruction"] == len(program) - 2
    assert found["speed"]["simulated"] > 0
    assert main([*resnet8, "--workers", "3", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"cycles       {found['predicted_cycles']:,} predicted")
    assert any(line.startswith("predicted    ") and " on 3 workers" in line for line in lines)


def _program(arguments: list[str]) -> Any:
    return compile_model(Path(arguments[1]), "tiny")


def test_a_dry_run_measures_where_nothing_was_measured(capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speed, "place", lambda _: tmp_path / "speed.json")
    found = run(capsys, *DIGITS, "--input", *IMAGES[:2], "--workers", "2", "--dry-run")
    assert found["speed"]["measured"] == "the first 52,756 cycles, just now"
    assert [part.get("segment") for part in found["segments"]] == [None, None]
    (tmp_path / "speed.json").write_text("no JSON")
    image = [*DIGITS, "--input", IMAGES[0], "--workers", "2"]
    assert run(capsys, *image, "--dry-run")["speed"]["measured"].endswith("just now")
    run(capsys, *image)
    assert run(capsys, *image, "--dry-run")["speed"]["measured"] == "1 segment of an earlier verification"


@pytest.mark.parametrize(("options", "message"), [
    (["--workers", "2", "--backend", "emulator"], "--workers, --ray: the emulator is not spread"),
    (["--workers", "0"], "0 workers: there must be at least 1"),
    (["--workers", "2", "--waves", "run.fst"], "--waves: waveforms cannot be had: the run is spread over workers"),
    (["--dry-run"], "--dry-run: says how workers would share the work; add --workers N or --ray HOST:PORT"),
])
def test_what_is_refused(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DIGITS, "--input", IMAGES[0], *options]) == 2
    assert message in capsys.readouterr().err


def test_both_kinds_of_workers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*DIGITS, "--input", IMAGES[0], "--workers", "2", "--ray", "auto"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_lost_workers_segment_is_run_again(shared_data: Path) -> None:
    model = import_model(onnx.load(shared_data / "models" / f"{RESNET8}.onnx"))
    (given,) = model.graph.model_inputs
    inputs = {given.name: np.zeros((1, *given.shape), given.dtype)}
    killed: set[int] = set()

    def kill_workers(standing: Standing) -> None:
        """Kills all workers as soon as one is busy."""
        if standing.done and not killed:
            killed.update(_children(os.getpid()))
            for process in killed:
                os.kill(process, signal.SIGKILL)

    found = Verification(LocalWorkers(2), lambda: (model, [inputs]), PRESETS["tiny"], kill_workers).run()
    assert found.exact
    assert found.verdict.equal
    assert max(task["attempts"] for task in found.tasks) == 2
    assert not killed & {task["process"] for task in found.tasks}


def test_an_interrupt_ends_all(resnet8: list[str]) -> None:
    image = resnet8[resnet8.index("--input") + 1]
    many = [part for one in resnet8 for part in ([image] * 200 if one == image else [one])]     # half a minute
    command = [sys.executable, "-m", "arrayloom", *many, "--workers", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_interrupts)
    deadline, workers = time.monotonic() + LONG, []
    while len(workers) < 2 and process.poll() is None:
        workers = _children(process.pid)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("arrayloom: interrupted")
    wait_until_ended(workers)


def _children(process: int) -> list[int]:
    files = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


@pytest.mark.slow
def test_a_cluster_of_two_nodes_gives_the_same_report(resnet8: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with ray_cluster() as address:
        found = run(capsys, *resnet8, "--ray", address)
    same_without_workers(found, run(capsys, *resnet8))
    assert found["cycles_exact"] is True
    assert len({task["node"] for task in found["segments"]}) == 2
