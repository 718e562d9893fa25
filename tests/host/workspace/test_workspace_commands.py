"""The workspace commands, as a user types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.workspace import Workspace

MODEL = str(digits.MODEL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder whose commands use their own workspace."""
    monkeypatch.chdir(tmp_path)
    assert main(["workspace", "create", "ws", "--use"]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def arrayloom(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must succeed; returns its JSON."""
    def run(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


def refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_models_by_command(arrayloom: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = arrayloom("model", "register", MODEL, "--name", "digits", "--tag", "stage=test", "--property", "p=q",
                "--description", "a net")
    assert (made["id"], made["tags"], made["properties"], made["description"]) == (
        "digits:1", {"stage": "test"}, {"p": "q"}, "a net")
    arrayloom("model", "register", MODEL, "--name", "digits")
    assert [m["id"] for m in arrayloom("model", "list")["models"]] == ["digits:2", "digits:1"]
    assert [m["id"] for m in arrayloom("model", "list", "--tag", "stage=test")["models"]] == ["digits:1"]
    assert [m["id"] for m in arrayloom("model", "list", "--latest", "--name", "digits")["models"]] == ["digits:2"]
    assert arrayloom("model", "show", "digits")["version"] == 2
    assert arrayloom("model", "show", "digits:1")["sha256"] == made["sha256"]
    copy = arrayloom("model", "download", "digits", "-o", str(tmp_path / "out"))["path"]
    assert Path(copy).read_bytes() == digits.MODEL.read_bytes()
    assert arrayloom("model", "delete", "digits:1") == {"deleted": ["model digits:1"]}
    assert arrayloom("workspace", "show")["models"] == ["digits:2"]
    assert main(["model", "list"]) == 0
    assert "digits:2" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_from_model_to_manifests_by_command(arrayloom: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrayloom("model", "register", MODEL, "--name", "digits")
    program = arrayloom("convert", "digits", "--config", "tiny", "--preprocess", "digits", "--labels", str(digits.LABELS))
    assert (program["host"], program["inserted_roundings"]) == ({"head": [], "tail": [], "macs": 0, "share": 0.0}, [])
    assert (program["id"], program["framework"]) == ("digits.loom:1", "arrayloom")
    image = arrayloom("image", "create", "digits", "digits.loom", "--tag", "a=b")
    assert (image["creation_state"], image["tags"]) == ("Succeeded", {"a": "b"})
    assert [i["id"] for i in arrayloom("image", "list")["images"]] == ["digits:1"]
    assert arrayloom("image", "show", "digits")["sha256"] == image["sha256"]
    assert arrayloom("image", "save", "digits", "-o", str(tmp_path / "d.tar"))["digest"] == f"sha256:{image['sha256']}"
    listed = arrayloom("image", "manifests", "digits", "--registry", "registry.example/team/", "--max-replicas", "0")
    assert [item["kind"] for item in listed["items"]] == ["Service", "Deployment"]
    (container,) = listed["items"][1]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/team/digits:1"
    runtime, asking = arrayloom("image", "manifests", "digits", "--kserve", "--storage-uri", "pvc://models/digits")["items"]
    assert (runtime["kind"], asking["kind"]) == ("ServingRuntime", "InferenceService")
    assert asking["spec"]["predictor"]["model"]["storageUri"] == "pvc://models/digits"
    assert "PodMonitor" in [item["kind"] for item in arrayloom("image", "manifests", "digits", "--pod-monitor")["items"]]
    refused(["image", "manifests", "digits", "--storage-uri", "pvc://models/digits"], "is for --kserve", capsys)
    assert main(["image", "manifests", "digits", "--keys-secret", "k", "-o", str(tmp_path / "k8s.yaml")]) == 0
    assert (tmp_path / "k8s.yaml").read_text().startswith("# kubectl create secret generic k --from-file=keys.json\n---\n")
    assert [o["id"] for o in arrayloom("operation", "list")["operations"]] == ["image:1", "convert:1"]
    assert arrayloom("operation", "delete", "image:1") == {"deleted": ["operation image:1"]}
    assert "compiling for tiny" in arrayloom("operation", "show", "convert:1")["log"]
    refused(["model", "delete", "digits"], "in use; delete these first, in this order", capsys)
    assert arrayloom("model", "delete", "digits", "--cascade")["deleted"] == [
        "image digits:1", "model digits:1", "model digits.loom:1"]


@pytest.mark.usefixtures("here")
def test_a_conversion_in_the_background(arrayloom: Any) -> None:
    arrayloom("model", "register", MODEL, "--name", "digits")
    started = arrayloom("convert", "digits", "--config", "tiny", "--no-wait")
    assert started["state"] in ("NotStarted", "Running")
    arrayloom("operation", "cancel", started["id"])
    assert arrayloom("operation", "show", started["id"])["state"] in ("Cancelled", "Succeeded")


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_services_by_command(arrayloom: Any) -> None:
    arrayloom("model", "register", MODEL, "--name", "digits")
    arrayloom("convert", "digits", "--config", "tiny", "--preprocess", "digits")
    arrayloom("image", "create", "digits", "digits.loom")
    try:
        made = arrayloom("service", "deploy", "digits", "digits", "--queue", "9")
        assert (made["state"], made["image"], made["auth_enabled"]) == ("Healthy", "digits:1", True)
        assert [s["id"] for s in arrayloom("service", "list")["services"]] == ["digits:1"]
        keys = arrayloom("service", "keys", "digits")
        renewed = arrayloom("service", "keys", "digits", "--regenerate", "secondary")
        assert (renewed["primary"], renewed["secondary"] != keys["secondary"]) == (keys["primary"], True)
        assert arrayloom("service", "logs", "digits", "--lines", "3")["log"]
        image = str(digits.IMAGES / "digit_3_0705.png")
        assert arrayloom("score", "--service", "digits", image)["images"][0]["top"][0]["index"] == 3
        assert arrayloom("service", "stop", "digits")["state"] == "Stopped"
        assert arrayloom("service", "start", "digits")["grpc"] == made["grpc"]
    finally:
        assert arrayloom("service", "delete", "digits") == {"deleted": ["service digits:1"]}


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_an_image_runs_until_it_is_stopped(arrayloom: Any) -> None:
    arrayloom("model", "register", MODEL, "--name", "digits")
    arrayloom("convert", "digits", "--config", "tiny", "--preprocess", "digits")
    arrayloom("image", "create", "digits", "digits.loom")
    running = subprocess.Popen([sys.executable, "-m", "arrayloom", "image", "run", "digits", "--json", "--queue", "3"],
                               stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    lines = [running.stdout.readline()]
    while lines[-1] not in ("}\n", ""):
        lines.append(running.stdout.readline())
    facts = json.loads("".join(lines))
    image = str(digits.IMAGES / "digit_3_0705.png")
    assert arrayloom("score", "--address", facts["grpc"], image)["images"][0]["top"][0]["index"] == 3
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(facts["pid"], 0)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("arguments", "message"), [
    (["model", "show", "digits"], "model 'digits' is not in the workspace; its models are: none"),
    (["model", "show", "digits:one"], "the version after the colon must be a whole number"),
    (["model", "register", "absent.onnx", "--name", "digits"], "absent.onnx: no such file"),
    (["model", "register", MODEL, "--name", "../digits"], "must be 1 to 255 letters"),
    (["model", "register", MODEL, "--name", "digits", "--tag", "stage"], "--tag 'stage': must be KEY=VALUE"),
    (["convert", "digits"], "model 'digits' is not in the workspace"),
    (["image", "create", "digits", "digits"], "model 'digits' is not in the workspace"),
    (["service", "deploy", "digits", "digits"], "image 'digits' is not in the workspace"),
    (["service", "logs", "digits"], "service 'digits' is not in the workspace"),
    (["operation", "show", "convert:1"], "operation 'convert' is not in the workspace"),
    (["workspace", "create", "ws"], "is a workspace already"),
    (["workspace", "show", "--workspace", "absent"], "no workspace at"),
])
def test_what_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(arguments, message, capsys)


def test_failures_bring_the_compilers_report(here: Path, arrayloom: Any, capsys: pytest.CaptureFixture[str]) -> None:
    arrayloom("model", "register", str(digits.FLOAT_MODEL), "--name", "float")
    refused(["convert", "float", "--config", "tiny"], "operation convert:1 is Failed: the model is a float model", capsys)
    assert list(Workspace(here / "ws").models) == ["float"]


def test_outside_of_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    refused(["model", "list"], "create one with: arrayloom workspace create DIR", capsys)
