"""``arrayloom profile`` on the RTL, and the cost model compared with its measurements."""

import json
from pathlib import Path

import numpy as np
import pytest

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.host.analysis.profile import Profile, measure
from arrayloom.host.analysis.profile.deviation import COVERED, Deviation, LayerDeviation, compare
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.inputs import load_inputs
from arrayloom.isa.program import Program
from arrayloom.isa.registers import Cause

MODEL = str(digits.MODEL)
IMAGE = str(digits.IMAGES / "digit_3_0705.png")
INPUT = ["--input", IMAGE, "--preprocess", "digits"]


@pytest.fixture(scope="module")
def program_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "digits.loom"
    compile_model(digits.MODEL, "tiny").save(path)
    return path


def _measure(model: Path, config: str, image: Path, recipe: str) -> tuple[Program, Profile]:
    program = compile_model(model, config=config)
    return program, measure(program, load_inputs(image, program.model_inputs, recipe))


@pytest.fixture(scope="module")
def digits_run() -> tuple[Program, Profile]:
    return _measure(digits.MODEL, "tiny", Path(IMAGE), "digits")


def test_everything_from_one_command(program_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html, trace = tmp_path / "profile.html", tmp_path / "trace.json"
    assert main(["profile", str(program_file), *INPUT, "--json", "--html", str(html), "--trace", str(trace)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["config"] == "tiny"
    assert result["multipliers"] == 16
    assert result["utilization"] == pytest.approx(result["macs"] / (16 * result["cycles"]))
    for unit, causes in result["units"].items():
        assert set(causes) == {cause.name.lower() for cause in Cause}
        assert sum(causes.values()) == result["cycles"]
        for cause, cycles in causes.items():
            assert sum(layer["units"][unit][cause] for layer in result["layers"]) == cycles
    assert sum(layer["macs"] for layer in result["layers"]) == result["macs"]
    assert sum(layer["bytes_read"] for layer in result["layers"]) < result["memory"]["bytes_read"]
    assert f"{result['cycles']:,}" in html.read_text()
    assert json.loads(trace.read_text())["otherData"]["cycles"] == result["cycles"]


def test_the_table_and_no_files(program_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", str(program_file), *INPUT]) == 0
    shown = capsys.readouterr().out
    assert "Conv_15_quant" in shown
    assert "the array lost" in shown
    assert list(tmp_path.iterdir()) == []


def test_every_wait_for_a_token_has_its_giver(digits_run: tuple[Program, Profile]) -> None:
    profile = digits_run[1]
    for unit in ("LOAD", "ARRAY", "POST", "STORE"):
        assert sum(profile.token_waits[unit].values()) == profile.units[unit]["token"]
    assert profile.units["STORE"]["token"] > 0


def test_the_array_computes_as_long_as_its_instructions_say(digits_run: tuple[Program, Profile]) -> None:
    profile, compared = digits_run[1], 0
    for layer in profile.layers:
        if layer.row.layer:
            own = [profile.instructions[index] for index in layer.row.layer.instructions]
            steps = sum(one.height * one.width * one.blocks * one.taps_y * one.taps_x * one.repeats
                        for one in own if one.mnemonic() == "convolve")
            # The unit holds an instruction until it retires: a few steps of the next one may be counted for it.
            assert layer.units["ARRAY"]["computing"] == pytest.approx(steps, abs=32)
            compared += steps > 0
    assert compared > 3


@pytest.mark.parametrize(("arguments", "message"), [
    (["--input", IMAGE], "add --preprocess NAME"),
    ([*INPUT, "--html", "/absent/x.html"], "/absent is not a folder"),
    ([*INPUT, "--html", "x", "--trace", "x"], "give two files"),
    ([*INPUT, "--config", "16x16"], "was compiled for configuration tiny"),
])
def test_bad_input_is_named(program_file: Path, arguments: list[str], message: str, tmp_path: Path,
                            monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["profile", str(program_file), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_of_a_batch_the_first_image(program_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = Program.load(program_file)
    (batch,) = load_inputs(Path(IMAGE), program.model_inputs, "digits").values()
    np.save(tmp_path / "two.npy", np.concatenate([batch, batch]))
    assert main(["profile", str(program_file), "--input", str(tmp_path / "two.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] == program.macs


def _assert_near(program: Program, profile: Profile) -> None:
    result = compare(predict(program, program.configuration), profile)
    assert result.covered >= min(COVERED, sum(layer.measured for layer in result.layers) / result.measured)
    assert {layer.name: layer.deviation for layer in result.layers if not layer.within} == {}
    assert result.within, result.deviation
    assert sum(layer.held for layer in result.layers) > 2


def test_the_cost_model_predicts_each_layer_of_digits(digits_run: tuple[Program, Profile]) -> None:
    _assert_near(*digits_run)


def test_the_cost_model_predicts_each_layer_of_resnet20(shared_data: Path) -> None:
    _assert_near(*_measure(shared_data / "models" / "resnet20_cifar10_int8_qop.onnx", "16x16",
                           shared_data / "images" / "orange.png", "cifar10"))


@pytest.mark.slow
def test_the_cost_model_predicts_each_layer_of_resnet50(shared_data: Path) -> None:
    _assert_near(*_measure(shared_data / "models" / "resnet50_int8_qop.onnx", "32x32",
                           shared_data / "images" / "snowleopardgaze.jpg", "imagenet"))


def test_deviations_beyond_their_bounds_are_outside() -> None:
    near, far = LayerDeviation("near", 104, 100, held=True), LayerDeviation("far", 106, 100, held=True)
    unheld = LayerDeviation("unheld", 300, 100, held=False)
    assert Deviation(1029, 1000, (near, unheld)).within
    assert not Deviation(1031, 1000, (near, unheld)).within
    assert not Deviation(1000, 1000, (near, far)).within
