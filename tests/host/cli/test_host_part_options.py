"""Head and tail on the command line: the options that permit them, and the commands that report them."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from host_parts import float_classifier, head_and_tail, pictures
from PIL import Image

from arrayloom.compiler import compile_model
from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.runtime.host_report import lines_of_host
from arrayloom.host.serving import Bundle
from arrayloom.isa.host_parts import HostNode, HostPart, HostWork, InsertedRounding

TAIL = ["Concat", "Split", "Exp", "Sigmoid"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``parts.onnx``, ``classifier.onnx``, ``parts.loom``, ``picture.png`` and ``image.npy``."""
    folder = tmp_path_factory.mktemp("host")
    onnx.save(head_and_tail(), folder / "parts.onnx")
    onnx.save(float_classifier(), folder / "classifier.onnx")
    Image.fromarray(pictures(1, channels_last=True)[0]).save(folder / "picture.png")
    np.save(folder / "image.npy", np.random.default_rng(0).random((2, 3, 8, 8), np.float32))
    compile_model(folder / "parts.onnx", "tiny").save(folder / "parts.loom")
    return folder


def _json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def test_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(folder / "parts.onnx"), "--input", str(folder / "picture.png"), "--preprocess", "none",
               "--config", "tiny", "--backend", "emulator"]
    assert main([*command, "--json"]) == 0
    found = _json(capsys)
    assert (found["host_bytes_compared"], found["host_bytes_differing"]) == (2304, 0)
    assert [node["op"] for node in found["host"]["head"]] == ["Cast", "Div", "Sub"]
    assert [node["op"] for node in found["host"]["tail"]] == TAIL
    assert (found["host"]["macs"], found["host"]["share"], found["inserted_roundings"]) == (0, 0.0, [])
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "on the host  2,304 bytes of head and tail compared, 0 differ" in text
    assert "host         head of 3 nodes (Cast, Div, Sub) and tail of 4 nodes (Concat, Split, Exp, ...), 0.0% of the" in text


def test_a_network_without_head_and_tail_says_so_in_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", str(digits.MODEL), "--input", str(next(digits.IMAGES.glob("*.png"))), "--preprocess", "digits",
               "--config", "tiny", "--backend", "emulator", "--no-host"]
    assert main([*command, "--json"]) == 0
    found = _json(capsys)
    assert found["host"] == {"head": [], "tail": [], "macs": 0, "share": 0.0}
    assert (found["host_bytes_compared"], found["inserted_roundings"]) == (0, [])
    assert main(command) == 0
    assert "host" not in capsys.readouterr().out


def test_compile_names_them_and_needs_permission(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", str(folder / "classifier.onnx"), "-o", str(tmp_path / "out.loom"), "--config", "tiny"]
    assert main(command) == 2
    assert "MatMul 'node_logits'" in capsys.readouterr().err
    assert main([*command, "--host-tail"]) == 0
    assert "host         tail of 1 node (MatMul), 27.0% of the multiply-accumulates" in capsys.readouterr().out
    refused = ["compile", str(folder / "parts.onnx"), "-o", str(tmp_path / "none.loom"), "--config", "tiny", "--no-host"]
    assert main(refused) == 2
    message = capsys.readouterr().err
    assert all(name in message for name in ("node_cast", "node_boxes", "node_scores"))
    assert not (tmp_path / "none.loom").exists()


def test_info(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder / "parts.loom"), "--json"]) == 0
    found = _json(capsys)
    assert [node["op"] for node in found["host"]["tail"]] == TAIL
    assert found["model_inputs"] == ["picture [N, 3, 8, 8] uint8"]
    assert found["model_outputs"] == ["boxes [N, 64, 4] float32", "scores [N, 64, 2] float32"]
    assert main(["info", str(folder / "parts.loom")]) == 0
    assert "host               head of 3 nodes (Cast, Div, Sub) and" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["emulator", "onnxruntime"])
def test_score(folder: Path, capsys: pytest.CaptureFixture[str], backend: str) -> None:
    command = ["score", str(folder / "classifier.onnx"), str(folder / "image.npy"), "--backend", backend, "--json"]
    assert main([*command, "--host-tail"]) == 0
    found = _json(capsys)
    assert [node["op"] for node in found["host"]["tail"]] == ["MatMul"]
    assert found["host"]["share"] == pytest.approx(5120 / (5120 + 216 * 64))
    assert len(found["images"]) == 2
    assert main(command) == 2


def test_run_takes_what_the_model_takes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["run", str(folder / "parts.loom"), "--input", str(folder / "picture.png"), "--preprocess", "none",
               "--backend", "emulator", "--output", str(tmp_path / "out.npz"), "--json"]
    assert main(command) == 0
    assert _json(capsys)["outputs"] == {"boxes": [1, 64, 4], "scores": [1, 64, 2]}


def test_explore_and_profile_take_the_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explore = ["explore", str(folder / "classifier.onnx"), "--configs", "tiny", "--json"]
    assert main(explore) == 2
    assert main([*explore, "--host-tail"]) == 0
    capsys.readouterr()
    profile = ["profile", str(folder / "parts.onnx"), "--input", str(folder / "picture.png"), "--preprocess", "none",
               "--config", "tiny", "--json"]
    assert main(profile) == 0
    assert main([*profile, "--no-host"]) == 2


@pytest.mark.parametrize("option", ["--no-host", "--host-tail", "--insert-rounding"])
@pytest.mark.parametrize("command", ["score", "profile"])
def test_a_program_was_compiled_with_its_options(folder: Path, capsys: pytest.CaptureFixture[str], command: str,
                                                 option: str) -> None:
    picture = str(folder / "picture.png")
    given = [picture] if command == "score" else ["--input", picture]
    assert main([command, str(folder / "parts.loom"), *given, "--preprocess", "none", option]) == 2
    assert "was chosen when it was compiled" in capsys.readouterr().err


def test_no_host_and_host_tail_exclude_one_another(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["compile", str(folder / "parts.onnx"), "-o", "x.loom", "--no-host", "--host-tail"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_serve_refuses_bundles_with_a_part_on_the_host_on_request(folder: Path, tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    Bundle.create("parts", folder / "parts.loom").save(tmp_path / "bundle")
    assert main(["serve", str(tmp_path / "bundle"), "--no-host", "--port", "0", "--http-port", "0"]) == 2
    assert "--no-host: the host computes a head of 3 nodes (Cast, Div, Sub) and tail" in capsys.readouterr().err


def test_a_service_takes_no_options_of_compiling(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--address", "127.0.0.1:1", str(folder / "picture.png"), "--host-tail"]) == 2
    assert "a service's model is already compiled" in capsys.readouterr().err


def test_a_small_share_is_not_said_to_be_none() -> None:
    node = HostNode("n", "Conv")
    for share, said in ((0.0, "0.0%"), (1e-4, "less than 0.1%"), (0.004, "0.4%")):
        program = compile_model(digits.MODEL, "tiny")
        program.host = HostWork(None, HostPart(b"", (node,)), 1, share)
        assert list(lines_of_host(program)) == [f"host         tail of 1 node (Conv), {said} of the multiply-accumulates"]


def test_inserted_roundings_in_words() -> None:
    program = compile_model(digits.MODEL, "tiny")
    program.inserted_roundings = [InsertedRounding("v", "/Add", 0.25, -3, "int8")]
    assert list(lines_of_host(program)) == ["rounded      'v' of '/Add' to int8, scale 0.25, zero point -3"]


def test_a_classifier_on_the_host_leaves_no_features(folder: Path, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(folder / "classifier.onnx"), str(folder / "image.npy"), "--config", "tiny", "--backend",
               "emulator", "--host-tail"]
    assert main(command) == 0
    assert main([*command, "--features", str(tmp_path / "features.npz")]) == 2
    assert "it has no features, since no classifier ends it, or the host computes it in float" in capsys.readouterr().err
    assert not (tmp_path / "features.npz").exists()
