"""Refusals by the commands: exit codes, one JSON object, and nothing else on either stream."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from float_networks import FloatNetwork, images
from networks import Network
from onnx import helper

from arrayloom.host.cli import programs
from arrayloom.host.cli.main import main
from arrayloom.host.cli.refusal import TRACEBACK
from arrayloom.host.models import digits

MODEL = str(digits.MODEL)


def _refused(path: Path) -> Path:
    """A network that cannot be compiled because of two nodes in the middle."""
    net = Network(opset=17)
    x = net.dequantize(net.quantize("x", 0.5, 3), 0.5, 3)
    for name in ("a", "b"):
        sums = net.node("CumSum", [x, net.constant(np.array(2))], name)
        x = net.dequantize(net.quantize(sums, 0.5, 3), 0.5, 3)
    weight = net.dequantize(net.constant(np.ones((2, 4, 1, 1), np.int8)), 0.25, 0, np.int8)
    conv = net.quantize(net.node("Conv", [x, weight], "conv"), 0.5, 3)
    net.dequantize(conv, 0.5, 3, output="y")
    onnx.save(net.model({"x": (np.float32, ["N", 4, 6, 6])}, ["y"]), path)
    return path


def _run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    return json.loads(printed.out), printed.err


def _commands(model: Path, folder: Path) -> list[list[str]]:
    data = folder / "x.npy"
    np.save(data, np.zeros((1, 4, 6, 6), np.float32))
    return [["compile", str(model), "-o", str(folder / "out.loom")],
            ["verify", str(model), "--input", str(data)],
            ["score", str(model), str(data), "--backend", "emulator"],
            ["profile", str(model), "--input", str(data)],
            ["explore", str(model), "--configs", "tiny"]]


def test_every_command_lists_all_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = _refused(tmp_path / "model.onnx")
    for arguments in _commands(model, tmp_path):
        result, err = _run([*arguments, "--json"], capsys)
        assert set(result) == {"error", "unsupported"}, arguments
        assert [(entry["node"], entry["op"]) for entry in result["unsupported"]] == [("CumSum_a", "CumSum"),
                                                                                     ("CumSum_b", "CumSum")]
        assert all(set(entry) == {"node", "op", "reason", "remedy"} for entry in result["unsupported"])
        assert err == f"arrayloom: {result['error']}\n"
    assert not (tmp_path / "out.loom").exists()


@pytest.mark.parametrize("command", ["compile", "disasm", "info", "check", "run", "verify", "explore", "quantize"])
def test_errors_that_are_about_no_node(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"compile": ["-o", str(tmp_path / "p.loom")], "run": ["--input", "none.npy"], "verify": ["--input", "none.npy"],
            "explore": ["--configs", "tiny"], "quantize": ["--calibrate", "none.npz", "-o", str(tmp_path / "q.onnx")]}
    result, _ = _run([command, str(tmp_path / "absent"), *more.get(command, []), "--json"], capsys)
    assert result["unsupported"] == []
    assert result["error"]


def test_compile_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.loom"
    assert main(["compile", MODEL, "-o", str(path), "--config", "tiny", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert main(["info", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert written["output"] == str(path)
    assert written["predicted_cycles"] > 0
    assert {name: written[name] for name in facts} == facts


def test_disasm_lists_instructions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.isa.program import Program

    path = tmp_path / "digits.loom"
    assert main(["compile", MODEL, "-o", str(path), "--config", "tiny"]) == 0
    capsys.readouterr()
    assert main(["disasm", str(path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["instructions"]
    program = list(Program.load(path))
    assert [entry["index"] for entry in listed] == list(range(len(program)))
    for entry, instruction in zip(listed, program, strict=True):
        assert entry["mnemonic"] == instruction.mnemonic()
        assert type(instruction)(**entry["fields"]) == instruction


def test_no_trace_reaches_the_user(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                   monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(programs, "compile_model", broken)
    monkeypatch.delenv(TRACEBACK, raising=False)
    arguments = ["compile", MODEL, "-o", str(tmp_path / "p.loom"), "--json"]
    result, err = _run(arguments, capsys)
    assert result["error"].startswith("an error in Arrayloom itself, IndexError: list index out of range")
    assert len(err.splitlines()) == 1
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(IndexError):
        main(arguments)


def test_libraries_print_nothing(tmp_path: Path) -> None:
    """Neither onnx nor ONNX Runtime prints, on a model for which both usually warn."""
    n = FloatNetwork(opset=11)
    model = n.classify(n.node("Relu", [n.normalize(n.conv("data"))]))
    graph = model.graph
    graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in graph.initializer)
    graph.initializer.append(onnx.numpy_helper.from_array(np.ones(3, np.float32), "unused"))
    graph.output[0].CopyFrom(helper.make_tensor_value_info(graph.output[0].name, onnx.TensorProto.FLOAT, ["N", 11]))
    model.ir_version = 3
    onnx.save(model, tmp_path / "float.onnx")
    np.savez(tmp_path / "data.npz", data=images(2))
    np.save(tmp_path / "data.npy", images(1))
    quantized = str(tmp_path / "int8.onnx")
    for arguments in (["quantize", str(tmp_path / "float.onnx"), "--calibrate", str(tmp_path / "data.npz"), "-o", quantized],
                      ["verify", quantized, "--input", str(tmp_path / "data.npy"), "--backend", "emulator"]):
        command = [sys.executable, "-P", "-m", "arrayloom", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        printed = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
        assert (done.returncode, printed) == (0, []), arguments


def _save(path: Path, value: Any) -> Path:
    np.save(path, value, allow_pickle=True)
    return path


IMAGE = np.zeros((1, 1, 8, 8), np.float32)
NAN = np.full_like(IMAGE, np.nan)


@pytest.mark.parametrize(("value", "message"), [
    (IMAGE[:0], "holds no image"),
    (IMAGE.astype(np.float64), "dtype float64 given, float32 wanted"),
    (IMAGE[0], "shape"),
    (IMAGE[np.newaxis], "shape"),
    (np.float32(3), "shape"),
    (NAN, "holds NaN or infinity"),
    (np.array([{}, 1], object), "Object arrays cannot be loaded"),
    (np.array(["a"]), "shape"),
], ids=["none", "dtype", "rank 3", "rank 5", "scalar", "nan", "objects", "text"])
def test_verify_on_arrays_that_do_not_fit(value: Any, message: str, tmp_path: Path,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    path = _save(tmp_path / "x.npy", value)
    result, _ = _run(["verify", MODEL, "--input", str(path), "--backend", "emulator", "--config", "tiny", "--json"], capsys)
    assert message in result["error"]


def test_verify_on_what_is_no_file_of_arrays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    huge = bytearray(_save(tmp_path / "huge.npy", IMAGE).read_bytes())
    huge[:128] = bytes(huge[:128]).replace(b"(1, 1, 8, 8), }         ", b"(999999999, 1, 8, 8), } ")
    (tmp_path / "huge.npy").write_bytes(huge)
    for name, message in (("folder", "is a folder"), ("objects.npz", "Object arrays"), ("huge.npy", "numpy can read")):
        result, _ = _run(["verify", MODEL, "--input", str(tmp_path / name), "--backend", "emulator", "--json"], capsys)
        assert message in result["error"]
