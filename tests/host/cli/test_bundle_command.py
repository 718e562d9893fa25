"""``arrayloom bundle``, and ``serve`` with a model in place of a bundle."""

import base64
import json
from pathlib import Path

import asking
import pytest
import serving

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.serving import Bundle
from arrayloom.host.vision import preprocess

IMAGE = digits.IMAGES / "digit_3_0705.png"
OPTIONS = ["--preprocess", "digits", "--labels", str(digits.LABELS)]


def test_a_bundle_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    command = ["bundle", str(digits.MODEL), "-o", str(folder), "--config", "tiny", "--version", "3", *OPTIONS]
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["version"], facts["config"], facts["labels"]) == ("digits_int8", 3, "tiny", 10)
    bundle = Bundle.load(folder)
    assert (bundle.name, bundle.version, bundle.recipe, bundle.labels) == ("digits_int8", 3, "digits", tuple("0123456789"))
    assert main(command) == 2
    assert f"{folder}: exists already" in capsys.readouterr().err


def test_a_bundle_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "digits.loom"
    assert main(["compile", str(digits.MODEL), "-o", str(program), "--config", "tiny"]) == 0
    assert main(["bundle", str(program), "-o", str(tmp_path / "made"), "--name", "mine"]) == 0
    assert "mine version 1" in capsys.readouterr().out
    assert Bundle.load(tmp_path / "made").labels is None
    assert main(["bundle", str(program), "-o", str(tmp_path / "other"), "--config", "16x16"]) == 2


def test_a_model_is_served_at_once(tmp_path: Path) -> None:
    image = asking.strings(IMAGE.read_bytes())
    with serving.Server(tmp_path, digits.MODEL, "--model-name", "digits", *OPTIONS) as server:
        assert server.facts["models"] == ["digits:1"]
        answer = asking.oip_grpc(server, asking.Ask({"image": image}))["logits"]
        assert [event["seconds"] > 0 for event in server.events("compiled")] == [True]
        best = {"name": "logits", "parameters": {"classification": 1}}
        body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1],
                            "data": [{"b64": base64.b64encode(IMAGE.read_bytes()).decode()}]}], "outputs": [best]}
        named = json.loads(asking.http(server, "/v2/models/digits/infer", json.dumps(body).encode()))
    program = Bundle.create("digits", _compiled(tmp_path), 1)
    assert answer.tobytes() == serving.expected(program, preprocess(IMAGE, "digits")).tobytes()
    assert named["outputs"][0]["data"][0].split(":")[1:] == ["3", "3"]


def _compiled(folder: Path) -> Path:
    assert main(["compile", str(digits.MODEL), "-o", str(folder / "d.loom")]) == 0
    return folder / "d.loom"


@pytest.mark.parametrize(("arguments", "reason"), [
    (["bundle", "--labels", "voc"], "--labels: is for a model"),
    (["bundle", "--model-name", "x"], "--model-name: is for a model"),
    ([digits.MODEL, digits.FLOAT_MODEL, "--model-name", "x"], "2 models cannot have one name"),
    ([digits.MODEL, digits.MODEL], "two of these would have the same name"),
    (["absent.onnx"], "'absent.onnx' is not a file"),
    ([digits.MODEL, "--preprocess", "nothing"], "nothing"),
    ([digits.MODEL, "--labels", "absent"], "or one of imagenet, voc, coco"),
    ([digits.MODEL, "--preprocess", "imagenet"], "imagenet"),
    ([digits.MODEL, "--model-name", "a b"], "name 'a b'"),
    ([digits.FLOAT_MODEL], "arrayloom quantize"),
])
def test_what_is_refused(arguments: list[str | Path], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                         capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bundle").mkdir()
    assert main(["serve", *map(str, arguments), "--port", "0", "--http-port", "0"]) == 2
    assert reason in capsys.readouterr().err
