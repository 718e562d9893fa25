"""Conversions: results, refusals, and every way in which an operation can end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from crashes import kill_at_each_point
from host_parts import float_classifier

from arrayloom.compiler import compile_model
from arrayloom.compiler.errors import CompileError
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.session import Session
from arrayloom.host.vision import RecipeError
from arrayloom.host.workspace import Model, Workspace, WorkspaceError, files, job, worker
from arrayloom.host.workspace.converter import JOB, AccelOnnxConverter
from arrayloom.host.workspace.operation import Operation
from arrayloom.isa.program import Program

IMAGE = digits.IMAGES / "digit_7_1496.png"
CONVERT = """
import sys, time
from arrayloom.host.workspace import Model, Workspace
from arrayloom.host.workspace.converter import AccelOnnxConverter

workspace = Workspace(sys.argv[1])
print(AccelOnnxConverter.convert(workspace, Model(workspace, "digits"), config="tiny").id, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Operation, "grace", 0.2)


@pytest.fixture
def model(workspace: Workspace) -> Model:
    return Model.register(workspace, digits.MODEL, "digits")


def start(workspace: Workspace, model: Model, **options: object) -> Operation:
    return AccelOnnxConverter.convert(workspace, model, config="tiny", **options)  # type: ignore[arg-type]


def test_int8_becomes_the_compilers_program(shop: Workspace, program: Model, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.file.read_bytes() == compile_model(digits.MODEL, "tiny").to_bytes()
    assert program.properties["preprocess"] == "digits"
    assert [parent.reference for parent in program.parents] == ["model digits:1"]
    assert program.file.with_name("labels.txt").read_text() == digits.LABELS.read_text()
    program.verify()
    (converted,) = Operation.list(shop, "convert")
    assert (converted.status, converted.result.id) == ("Succeeded", program.id)
    assert converted.wait_for_completion(show_output=True)
    title, done, count = converted.progress or ("", 0, 0)
    assert title == "compiling"
    assert done == count > 1
    shown = capsys.readouterr().out
    assert "compiling for tiny" in shown
    assert "convert:1 Succeeded" in shown


def test_float_is_quantized_with_a_folder_or_arrays(workspace: Workspace) -> None:
    from arrayloom.host.vision import preprocess

    model = Model.register(workspace, digits.FLOAT_MODEL, "digits")
    arrays = np.concatenate([preprocess(path, "digits") for path in sorted(digits.IMAGES.glob("*.png"))])
    by_folder = start(workspace, model, preprocess="digits", calibration=digits.IMAGES)
    by_arrays = start(workspace, model, calibration=arrays, model_name="arrays", method="minmax")
    assert by_folder.wait_for_completion() and by_arrays.wait_for_completion()
    assert "quantizing with 10 images by minmax" in by_folder.log
    folder, array = (Program.load(done.result.file) for done in (by_folder, by_arrays))
    assert (folder.constants == array.constants).all()
    with Session(folder, "tiny", "emulator") as session:
        (scores,) = session.run({folder.inputs[0].name: preprocess(IMAGE, "digits")}).values()
    assert scores.argmax() == 7


@pytest.mark.parametrize(("file", "options", "message"), [
    (digits.FLOAT_MODEL, {}, "is a float model, and no calibration was given"),
    (digits.MODEL, {"calibration": np.zeros((1, 1, 8, 8), np.float32)}, "is quantized already, and a calibration was given"),
    (digits.MODEL, {"labels": ["zero", "one"]}, "2 for 10 classes"),
    (digits.MODEL, {"preprocess": "imagenet"}, "imagenet"),
])
def test_conversions_that_fail_say_why(workspace: Workspace, file: Path, options: dict, message: str) -> None:
    failed = start(workspace, Model.register(workspace, file, "digits"), **options)
    assert not failed.wait_for_completion()
    assert (failed.status, len(Model.list(workspace))) == ("Failed", 1)
    assert message in str(failed.error)
    with pytest.raises(WorkspaceError, match="has no result, it is Failed"):
        _ = failed.result


def test_all_unsupported_nodes_at_once(workspace: Workspace, tmp_path: Path) -> None:
    model = onnx.load(digits.MODEL)
    last = model.graph.output[0].name
    for name, operator in (("first", "Softplus"), ("second", "Det")):
        model.graph.node.append(onnx.helper.make_node(operator, [last], [name], name=name, domain="own"))
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    onnx.save(model, tmp_path / "model.onnx")
    failed = start(workspace, Model.register(workspace, tmp_path / "model.onnx", "digits"))
    assert not failed.wait_for_completion()
    assert [(node["node"], node["operator"]) for node in failed.unsupported] == [("first", "own.Softplus"),
                                                                               ("second", "own.Det")]
    assert str(failed.error).startswith("2 nodes of the model cannot be compiled")
    assert Operation(workspace, "convert").serialize()["unsupported"] == failed.unsupported


def test_the_command_refuses_as_the_others_do(workspace: Workspace, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    model = onnx.load(digits.MODEL)
    last = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Warp", [last], ["more"], name="first", domain="own"))
    model.graph.output.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, None))
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    onnx.save(model, tmp_path / "model.onnx")
    Model.register(workspace, tmp_path / "model.onnx", "digits")
    assert main(["convert", "digits", "--workspace", str(workspace.path), "--config", "tiny", "--json"]) == 2
    refused = json.loads(capsys.readouterr().out)
    assert [(entry["node"], entry["op"]) for entry in refused["unsupported"]] == [("first", "own.Warp")]
    assert set(refused["unsupported"][0]) == {"node", "op", "reason", "remedy"}


def test_what_is_wrong_at_once_starts_nothing(workspace: Workspace, model: Model, program: Model, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no such folder or file"):
        start(workspace, model, calibration=tmp_path / "absent")
    with pytest.raises(WorkspaceError, match="give preprocess"):
        start(workspace, model, calibration=digits.IMAGES)
    with pytest.raises(RecipeError, match="sepia"):
        start(workspace, model, preprocess="sepia")
    with pytest.raises(WorkspaceError, match="is a program already"):
        start(workspace, program)
    with pytest.raises(WorkspaceError, match="must be 1 to 255 letters"):
        start(workspace, model, model_name="a/b")
    with pytest.raises(WorkspaceError, match="is no TensorFlow SavedModel but onnx"):
        AccelOnnxConverter.convert_tf_model(workspace, model, "x", "y")
    assert Operation.list(workspace) == []


def test_saved_models_need_tf2onnx(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from arrayloom.host.workspace import frameworks

    monkeypatch.setattr(frameworks, "find_spec", lambda _: None)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    model = Model.register(workspace, tmp_path / "saved", "tf")
    with pytest.raises(WorkspaceError, match="pip install tf2onnx tensorflow-cpu"):
        AccelOnnxConverter.convert_tf_model(workspace, model, "x:0", "y:0", allow_code=True)


def test_a_changed_source_is_noticed(workspace: Workspace, model: Model) -> None:
    model.path.write_bytes(model.path.read_bytes()[:-1])
    failed = start(workspace, model)
    assert not failed.wait_for_completion()
    assert "was changed since model digits:1 was registered" in str(failed.error)


def test_cancelling_stops_the_worker(workspace: Workspace, model: Model) -> None:
    running = _stopped(start(workspace, model))
    running.cancel()
    _ended_without_result(workspace, running, "Cancelled", "cancelled")
    running.cancel()
    assert running.status == "Cancelled"


def test_time_runs_out(workspace: Workspace, model: Model) -> None:
    running = _stopped(start(workspace, model))
    assert not running.wait_for_completion(timeout=0.1)
    _ended_without_result(workspace, running, "TimedOut", "not done after 0.1 s")


def test_a_killed_worker_is_seen_as_failed(workspace: Workspace, model: Model) -> None:
    running = _stopped(start(workspace, model))
    os.killpg(running.entry.details["pid"], signal.SIGKILL)
    assert not running.wait_for_completion()
    _ended_without_result(workspace, running, "Failed", "it was killed")


@pytest.mark.usefixtures("model")
def test_the_worker_outlives_its_parent(workspace: Workspace) -> None:
    parent = subprocess.Popen([sys.executable, "-c", CONVERT, workspace.path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    name, number = parent.stdout.readline().strip().split(":")
    parent.kill()
    parent.communicate()
    survivor = Operation(workspace, name, int(number))
    assert survivor.wait_for_completion(timeout=60), survivor.error
    assert survivor.result.id == "digits.loom:1"


def test_workers_killed_at_random_moments(workspace: Workspace, model: Model) -> None:
    succeeded = 0
    for attempt in range(5):
        running = start(workspace, model)
        time.sleep(0.35 + 0.12 * attempt)
        pid = running.refresh().entry.details.get("pid")
        if pid is not None and running.status in job.LIVE:
            os.killpg(pid, signal.SIGKILL)
        succeeded += running.wait_for_completion(timeout=60)
        for entry in Model.list(Workspace(workspace.path)):
            entry.verify()
        assert len(Model.list(workspace)) == 1 + succeeded
        _nothing_staged(workspace)


def test_a_parent_killed_before_its_worker_starts(workspace: Workspace, model: Model,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Operation, "_spawn", lambda *_: None)
    for _ in kill_at_each_point(lambda: start(workspace, model)):
        opened = Workspace(workspace.path)
        assert {found.status for found in Operation.list(opened)} <= {"Failed"}
        known = {found.path for found in Operation.list(opened)}
        assert {path for path in (workspace.path / "operations").iterdir() if path.is_dir()} == known
    assert Operation.list(workspace), "no child came as far as the row"
    model.delete()


def test_what_is_cancelled_at_the_last_moment_is_not_published(workspace: Workspace, model: Model,
                                                               monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Operation, "_spawn", lambda *_: None)
    cancelled = start(workspace, model)
    assert cancelled.finish(job.CANCELLED, "cancelled")
    assert worker.perform(job.Running(workspace, cancelled.entry), JOB.module) == 1
    assert capsys.readouterr().out.endswith("ended from outside; the result was discarded\n")
    _ended_without_result(workspace, cancelled, "Cancelled", "cancelled")


def test_the_worker_and_the_job_mean_the_same_cancellation(workspace: Workspace, model: Model) -> None:
    """The worker runs as ``__main__``: the class it catches must be the one that is raised, not a second copy."""
    running = start(workspace, model)
    while running.refresh().entry.details.get("pid") is None:
        time.sleep(0.01)
    with workspace.database.write() as connection:
        job.end(connection, running.entry.id, job.CANCELLED, error="cancelled")
    while files.is_held(running.path / files.LOCK):
        time.sleep(0.05)
    assert running.log.endswith("ended from outside; the result was discarded\n")
    _ended_without_result(workspace, running, "Cancelled", "cancelled")


def test_a_running_operation_keeps_its_model(workspace: Workspace, model: Model) -> None:
    running = _stopped(start(workspace, model))
    assert model.dependents() == ("operation convert:1",)
    assert model.delete(cascade=True) == ("operation convert:1", "model digits:1")
    assert not running.path.exists()


def test_what_the_host_may_compute_goes_with_the_conversion(workspace: Workspace, tmp_path: Path) -> None:
    onnx.save(float_classifier(), tmp_path / "classifier.onnx")
    model = Model.register(workspace, tmp_path / "classifier.onnx", "classifier")
    refused = start(workspace, model)
    assert not refused.wait_for_completion()
    assert "--host-tail" in str(refused.error)
    done = start(workspace, model, host="any")
    assert done.wait_for_completion(), done.error
    assert "\nhost         tail of 1 node (MatMul), 27.0% of the multiply-accumulates\n" in done.log
    assert [node.op for node in Program.load(done.result.file).host.parts["tail"].nodes] == ["MatMul"]
    with pytest.raises(CompileError, match="host 'all': unknown"):
        start(workspace, model, host="all")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "archive"])
def test_pytorch_modules(workspace: Workspace, tmp_path: Path, form: str) -> None:
    """A user's own module goes through ONNX; an archive from others needs permission to run code."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from arrayloom.host.workspace.frameworks import export_module

    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                                 torch.nn.Flatten(), torch.nn.Linear(8 * 16, 5))
    example = (torch.zeros(1, 3, 8, 8),)
    if form == "onnx":
        file = export_module(module, example, tmp_path / "net.onnx")
    else:
        file = tmp_path / "net.pt2"
        torch.export.save(torch.export.export(module.eval(), example), file)
    model = Model.register(workspace, file, "net")
    assert model.framework == {"onnx": "onnx", "archive": "torch"}[form]
    images = np.random.default_rng(3).standard_normal((16, 3, 8, 8)).astype(np.float32)
    done = start(workspace, model, calibration=images, allow_code=form == "archive")
    assert done.wait_for_completion(), done.error
    program = Program.load(done.result.file)
    with Session(program, "tiny", "emulator") as session:
        (scores,) = session.run({program.inputs[0].name: images}).values()
    wanted = module(torch.from_numpy(images)).detach().numpy()
    assert np.abs(scores - wanted).max() < 0.05 * np.abs(wanted).max()
    with pytest.raises(WorkspaceError, match=r"ends in \.onnx"):
        export_module(module, example, tmp_path / "net.pt2")


def _stopped(running: Operation) -> Operation:
    """Waits for the worker and stops it midway, so that it cannot finish by itself."""
    while running.refresh().entry.details.get("pid") is None:
        time.sleep(0.01)
    os.killpg(running.entry.details["pid"], signal.SIGSTOP)
    assert running.status == "Running"
    return running


def _ended_without_result(workspace: Workspace, ended: Operation, state: str, reason: str) -> None:
    assert ended.status == Operation(workspace, "convert").status == state
    assert reason in str(ended.error)
    assert [model.id for model in Model.list(workspace)] == ["digits:1"]
    assert not files.is_held(ended.path / files.LOCK)
    _nothing_staged(workspace)


def _nothing_staged(workspace: Workspace) -> None:
    Workspace(workspace.path)
    assert [path.name for path in (workspace.path / "staging").iterdir()] == [files.GATE]


def test_a_success_is_reported_when_its_process_has_released_everything(workspace: Workspace, model: Model) -> None:
    """The result is recorded while the process still holds its staged files."""
    done = start(workspace, model)
    assert done.wait_for_completion(), done.error
    assert not files.is_held(done.path / files.LOCK)
    assert [path.name for path in (workspace.path / "staging").iterdir()] == [files.GATE]
