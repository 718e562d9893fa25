"""One network on several accelerators: the table, the JSON, and the refusal of each bad input."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from networks import Network

from arrayloom.compiler import compile_model
from arrayloom.compiler.cost import predict
from arrayloom.host.analysis.exploration import on_chip_bytes
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.isa.config import PRESETS

MODEL = str(digits.MODEL)
IMAGE = str(digits.IMAGES / "digit_3_0705.png")


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "wide.toml"
    path.write_text('base = "16x16"\nlanes = 16\n')
    return str(path)


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["explore", MODEL, *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_presets_and_files_side_by_side(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = _json(capsys, "--configs", f"tiny,16x16,{own}", "--clock", "250")
    tiny, small, wide = result["configs"]
    assert [tiny["config"], small["config"], wide["config"]] == ["tiny", "16x16", "wide"]
    assert result["clock_mhz"] == 250
    for entry in (tiny, small, wide):
        assert entry["milliseconds"] == pytest.approx(entry["cycles"] / 250_000)
        assert entry["utilization"] == pytest.approx(result["macs"] / (entry["multipliers"] * entry["cycles"]))
        assert sum(entry["memories"].values()) == entry["on_chip_bytes"]
        assert entry["busy"]["ARRAY"] < entry["cycles"]
        assert entry["layers"]
    assert tiny["cycles"] > small["cycles"] > wide["cycles"]
    assert small["cycles"] == predict(compile_model(digits.MODEL, "16x16"), PRESETS["16x16"]).cycles


def test_the_table_states_the_clock(own: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", MODEL, "--configs", f"16x16,{own}"]) == 0
    text = capsys.readouterr().out
    assert "100 MHz assumed" in text
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["16x16"], ["wide"])]
    assert [row[0] for row in rows] == ["16x16", "wide"]
    cycles, milliseconds = int(rows[0][4].replace(",", "")), float(rows[0][6])
    assert milliseconds == pytest.approx(cycles / 100_000, abs=5e-4)


def test_the_rtl_is_shown_next_to_the_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--configs", "tiny", "--rtl", "--input", IMAGE, "--preprocess", "digits"]
    (entry,) = _json(capsys, *arguments)["configs"]
    assert entry["deviation"] == pytest.approx(entry["cycles"] / entry["rtl_cycles"] - 1)
    assert abs(entry["deviation"]) < 0.01
    assert main(["explore", MODEL, *arguments]) == 0
    assert f"{entry['rtl_cycles']:,}" in capsys.readouterr().out


def test_memories_are_what_the_fields_say() -> None:
    assert on_chip_bytes(PRESETS["tiny"]) == {"activations": 65536, "weights": 1024, "accumulators": 2048,
                                              "parameters": 8192, "tables": 2048}


@pytest.mark.parametrize(("arguments", "message"), [
    (["--configs", "tiny,9x9"], "configuration '9x9': unknown; the presets are tiny"),
    (["--configs", "tiny,"], "configuration '': unknown"),
    (["--configs", "absent.toml"], "absent.toml: cannot be read"),
    (["--configs", "tiny", "--clock", "0"], "--clock 0: must be a positive number"),
    (["--configs", "tiny", "--clock", "inf"], "--clock inf: must be a positive number"),
    (["--configs", "tiny", "--rtl"], "add --input FILE"),
    (["--configs", "tiny", "--input", IMAGE], "leave them out, or add --rtl"),
    (["--configs", "tiny", "--rtl", "--input", IMAGE], "add --preprocess NAME"),
])
def test_bad_input_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explore", MODEL, *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_configuration_too_small_for_the_network_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, config = tmp_path / "wide.onnx", tmp_path / "small.toml"
    onnx.save(_wide_rows(), model)
    config.write_text('base = "tiny"\nactivation_bytes = 1024\n')
    assert main(["explore", str(model), "--configs", f"tiny,{config}"]) == 2
    captured = capsys.readouterr()
    assert "configuration small: " in captured.err
    assert "activation_bytes = " in captured.err
    assert captured.out == ""


def _wide_rows() -> onnx.ModelProto:
    """Two convolutions over rows of 40 pixels with 64 channels, 2,560 bytes per row."""
    network, value = Network(), "x"
    for channels in (4, 64):
        scale, zero = network.constant(np.float32(0.05)), network.constant(np.uint8(128))
        weight = network.constant(np.ones((64, channels, 3, 3), np.int8))
        weight_zero = network.constant(np.int8(0))
        value = network.node("QLinearConv", [value, scale, zero, weight, scale, weight_zero, scale, zero],
                             kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    return network.model({"x": (np.uint8, [1, 4, 3, 40])}, [value])
