"""The commands as a user types them: results, JSON keys, exit codes, and the refusal of each bad input."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from arrayloom import compiler
from arrayloom.compiler.errors import CompileError
from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.cli.main import COMMANDS, main
from arrayloom.host.models import digits
from arrayloom.host.runtime import outputs
from arrayloom.host.runtime.errors import InputError

IMAGE = digits.IMAGES / "digit_3_0705.png"
MODEL = str(digits.MODEL)

VERIFY_KEYS = {"model", "config", "backend", "tensors_compared", "bytes_compared", "bytes_differing", "first_difference",
               "cycles", "macs", "utilization", "wall_seconds", "cycles_per_second", "macs_per_second"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "digits.loom"
    assert main(["compile", MODEL, "-o", str(path), "--config", "tiny"]) == 0
    return path


def _json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: arrayloom {command} ")


def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    listed = re.findall(r"^    ([a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"arrayloom {version('arrayloom')}\n"


def test_verify_json_has_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", MODEL, "--input", str(IMAGE), "--preprocess", "digits", "--config", "tiny", "--json"]) == 0
    result = _json(capsys)
    assert set(result) >= VERIFY_KEYS
    assert result["bytes_differing"] == 0
    assert result["first_difference"] is None
    assert result["cycles"] > 0
    assert result["utilization"] == pytest.approx(result["macs"] / (16 * result["cycles"]))


def test_verify_sums_over_files(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(path) for path in sorted(digits.IMAGES.glob("*.png"))[:3]]
    arguments = ["verify", MODEL, "--preprocess", "digits", "--config", "tiny", "--backend", "emulator", "--json"]
    assert main([*arguments, "--input", files[0]]) == 0
    one = _json(capsys)
    assert main([*arguments, "--input", *files]) == 0
    three = _json(capsys)
    assert three["bytes_compared"] == 3 * one["bytes_compared"]
    assert three["macs"] == 3 * one["macs"]


def test_verify_exits_with_1_when_bytes_differ(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.host.runtime import verify

    genuine = verify.compile_graph

    def tampered(graph: object, config: object) -> object:
        program = genuine(graph, config)  # type: ignore[arg-type]
        program.constants = program.constants ^ np.uint8(1)
        return program

    monkeypatch.setattr(verify, "compile_graph", tampered)
    assert main(["verify", MODEL, "--input", str(IMAGE), "--preprocess", "digits", "--config", "tiny", "--backend",
                 "emulator"]) == 1
    assert "differing    0" not in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["rtl", "emulator"])
def test_run_writes_outputs_equal_to_onnx_runtimes(program: Path, tmp_path: Path, backend: str,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.host.runtime.reference import Reference
    from arrayloom.host.vision import preprocess

    out = tmp_path / "out.npz"
    assert main(["run", str(program), "--input", str(IMAGE), "--preprocess", "digits", "--backend", backend, "--output",
                 str(out), "--json"]) == 0
    assert _json(capsys)["backend"] == backend
    expected = Reference(onnx.load(MODEL)).run({"image": preprocess(IMAGE, "digits")})
    with np.load(out) as outputs:
        np.testing.assert_array_equal(outputs["logits"], expected["logits"])


@pytest.mark.parametrize("source", ["model", "program"])
def test_score_ranks_and_writes_features(program: Path, source: str, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    features = tmp_path / "features.npz"
    images = [str(digits.IMAGES / name) for name in ("digit_3_0705.png", "digit_8_0500.png")]
    which = [MODEL, "--config", "tiny"] if source == "model" else [str(program)]
    assert main(["score", *which, *images, "--preprocess", "digits", "--labels", str(digits.LABELS), "--top", "2",
                 "--features", str(features), "--backend", "emulator", "--json"]) == 0
    result = _json(capsys)
    assert [image["top"][0]["label"] for image in result["images"]] == ["3", "8"]
    assert all(len(image["top"]) == 2 for image in result["images"])
    with np.load(features) as arrays:
        assert arrays["features"].shape == arrays["features_integer"].shape == (2, 1, 1, 32)
        assert arrays["features"].dtype == np.float32


def test_a_configuration_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program contains its configuration: only the first command needs the file."""
    file, program, out = tmp_path / "mine.toml", tmp_path / "digits.loom", tmp_path / "out.npz"
    file.write_text('base = "tiny"\nlanes = 4\nsize = 8\ncolumn_stage = 8\n')
    assert main(["compile", MODEL, "-o", str(program), "--config", str(file)]) == 0
    assert main(["score", str(program), str(IMAGE), "--preprocess", "digits", "--config", str(file), "--backend",
                 "emulator"]) == 0
    file.unlink()
    capsys.readouterr()
    assert main(["run", str(program), "--input", str(IMAGE), "--preprocess", "digits", "--backend", "emulator",
                 "--output", str(out), "--json"]) == 0
    assert _json(capsys)["config"] == "mine"
    with np.load(out) as outputs:
        assert outputs["logits"].argmax() == 3
    assert main(["score", str(program), str(IMAGE), "--preprocess", "digits", "--backend", "emulator", "--json"]) == 0
    assert _json(capsys)["images"][0]["top"][0]["index"] == 3
    _refused(["score", str(program), str(IMAGE), "--config", "tiny"], "compiled for configuration mine", capsys)


def test_backends_score_alike(capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for backend in ("emulator", "onnxruntime"):
        assert main(["score", MODEL, str(IMAGE), "--preprocess", "digits", "--backend", backend, "--config", "tiny",
                     "--json"]) == 0
        results.append(_json(capsys)["images"])
    assert results[0] == results[1]


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler always fails, as for a network that fits no accelerator."""
    def refuse(*_: object) -> None:
        raise CompileError("it does not fit the accelerator")

    monkeypatch.setattr(compiler, "run_passes", refuse)


@pytest.mark.usefixtures("no_compiler")
def test_onnxruntime_scores_what_cannot_be_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score = ["score", MODEL, str(IMAGE), "--preprocess", "digits"]
    _refused([*score, "--backend", "emulator", "--config", "tiny"], "it does not fit the accelerator", capsys)
    reference = [*score, "--backend", "onnxruntime"]
    assert main([*reference, "--labels", str(digits.LABELS), "--json"]) == 0
    result = _json(capsys)
    assert result["images"][0]["top"][0]["label"] == "3"
    assert (result["notes"], result["notices"]) == ([], [])
    _refused(["score", MODEL, str(IMAGE), "--backend", "onnxruntime"], "add --preprocess NAME", capsys)
    _refused([*reference, "--features", str(tmp_path / "f.npz")], "scores a MODEL.onnx, and has no features", capsys)
    _refused([*reference, "--waves", str(tmp_path / "w.fst")], "only the rtl backend has waveforms", capsys)
    _refused([*reference, "--config", "9x9"], "configuration '9x9': unknown", capsys)


def test_onnxruntime_scores_no_program(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["score", str(program), str(IMAGE), "--preprocess", "digits", "--backend", "onnxruntime"],
             "scores a MODEL.onnx", capsys)


def test_notices_stand_in_every_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, program, notice = onnx.load(MODEL), tmp_path / "digits.loom", "its weights are random"
    helper.set_model_props(model, {NOTICE: notice})
    onnx.save(model, tmp_path / "model.onnx")
    path, image = str(tmp_path / "model.onnx"), [str(IMAGE), "--preprocess", "digits"]
    assert main(["compile", path, "-o", str(program), "--config", "tiny"]) == 0
    assert f"notice       {notice}\n" in capsys.readouterr().out
    backend = ["--backend", "emulator"]
    for command in (["verify", path, "--config", "tiny", "--input", *image, *backend],
                    ["run", str(program), "--input", *image, *backend], ["score", str(program), *image, *backend],
                    ["score", path, *image, "--backend", "onnxruntime"], ["explore", path, "--configs", "tiny"]):
        assert main(command) == 0
        assert f"notice       {notice}\n" in capsys.readouterr().out, command
        assert main([*command, "--json"]) == 0
        result = _json(capsys)
        assert (result["notes"], result["notices"]) == ([f"notice: {notice}"], [notice]), command
    assert main(["info", str(program)]) == 0
    text = capsys.readouterr().out
    assert f"notice             {notice}\n" in text and "notes              none\n" in text
    assert main(["info", str(program), "--json"]) == 0
    facts = _json(capsys)
    assert (facts["notes"], facts["notices"]) == ([f"notice: {notice}"], [notice])


def test_disasm_and_info(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.isa.instructions import parse
    from arrayloom.isa.program import Program

    assert main(["disasm", str(program)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(";")]
    assert [parse(line.split(maxsplit=1)[1]) for line in lines] == list(Program.load(program))
    assert main(["info", str(program), "--json"]) == 0
    facts = _json(capsys)
    assert facts["config"] == "tiny"
    assert facts["macs"] == 828_736


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    for wanted in ("100.00%|  7", "differing    0 bytes", "cycles", "utilization", "cycles/s", "multiply-accumulates/s"):
        assert any(part in printed for part in wanted.split("|")), wanted


@pytest.mark.parametrize("command", ["demo", "compile", "run", "score", "verify", "disasm", "info", "check", "explore",
                                     "verilog", "simulator"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"example: arrayloom {command}" in " ".join(capsys.readouterr().out.split())


def _float_model(path: Path, **dims: object) -> Path:
    shape = dims.get("shape", [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def _refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], lines: int = 2) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(message, printed.err), printed.err
    assert len(printed.err.strip().splitlines()) <= lines, printed.err


def test_files_that_are_no_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("not a model")
    short = tmp_path / "short.onnx"
    short.write_bytes(digits.MODEL.read_bytes()[:20_000])
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for path in (text, short, empty, tmp_path / "absent.onnx", _float_model(tmp_path / "float.onnx")):
        _refused(["compile", str(path), "-o", str(tmp_path / "out.loom")], re.escape(path.name), capsys)
    assert not (tmp_path / "out.loom").exists()


def test_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(["verify", MODEL, "--input", str(IMAGE), "--preprocess", "digits", "--config", "9x9"],
             "configuration '9x9': unknown; the presets are tiny, edge, 16x16", capsys)


@pytest.mark.parametrize(("name", "content"), [("text.png", b"no image"), ("cut.png", IMAGE.read_bytes()[:100])])
def test_files_that_are_no_images(name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    _refused(["score", MODEL, str(path), "--preprocess", "digits", "--config", "tiny"], name, capsys)


@pytest.mark.parametrize(("array", "message"), [
    (np.zeros((1, 3, 8, 8), np.float32), r"shape \[1, 3, 8, 8\] given, \[N, 1, 8, 8\] wanted"),
    (np.zeros((1, 1, 9, 8), np.float32), r"shape \[1, 1, 9, 8\] given"),
    (np.zeros((1, 1, 8, 8), np.float64), "dtype float64 given, float32 wanted"),
])
def test_arrays_that_do_not_fit(array: np.ndarray, message: str, tmp_path: Path, program: Path,
                                capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", array)
    _refused(["run", str(program), "--input", str(tmp_path / "x.npy"), "--backend", "emulator"], message, capsys)


def test_recipes_that_do_not_fit(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["run", str(program), "--input", str(IMAGE), "--backend", "emulator"]
    _refused(run, "add --preprocess NAME", capsys)
    _refused([*run, "--preprocess", "sepia"], "sepia", capsys)
    _refused([*run, "--preprocess", "imagenet"], "imagenet", capsys)


def test_programs_that_do_not_fit(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.loom"
    changed.write_bytes(data)
    _refused(["info", str(changed)], "damaged", capsys)
    foreign = tmp_path / "foreign.loom"
    foreign.write_bytes(b"something else")
    _refused(["disasm", str(foreign)], "not an Arrayloom program", capsys)
    _refused(["score", str(program), str(IMAGE), "--preprocess", "digits", "--config", "16x16"],
             "compiled for configuration tiny", capsys)


def test_program_of_another_version(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.isa import program as module

    loaded = module.Program.load(program)
    monkeypatch.setattr(module, "FORMAT_VERSION", module.FORMAT_VERSION + 1)
    loaded.save(tmp_path / "new.loom")
    monkeypatch.undo()
    _refused(["info", str(tmp_path / "new.loom")], f"version {module.FORMAT_VERSION + 1} of the program format", capsys)


def test_outputs_that_cannot_be_written(program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = tmp_path / "absent" / "out"
    _refused(["compile", MODEL, "-o", str(nowhere)], "cannot be written", capsys)
    _refused(["run", str(program), "--input", str(IMAGE), "--preprocess", "digits", "--output", str(tmp_path)],
             "cannot be written", capsys)
    _refused(["score", MODEL, str(IMAGE), "--preprocess", "digits", "--features", str(nowhere)], "cannot be written", capsys)


def test_labels_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "few.txt").write_text("zero\none\n")
    score = ["score", MODEL, str(IMAGE), "--preprocess", "digits", "--config", "tiny", "--backend", "emulator", "--labels"]
    _refused([*score, str(tmp_path / "few.txt")], "2 labels for 10 classes", capsys)
    _refused([*score, str(tmp_path / "absent.txt")], "labels cannot be read", capsys)


def test_interruption_leaves_nothing(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    from arrayloom.host.cli import run

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Session, "run", interrupted)
    out = tmp_path / "out.npz"
    assert main(["run", str(program), "--input", str(IMAGE), "--preprocess", "digits", "--output", str(out), "--backend",
                 "emulator"]) == 2
    assert "interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fills_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, **_: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.np, "savez", full)
    with pytest.raises(InputError, match="No space left on device"):
        outputs.save_arrays(tmp_path / "out.npz", {})
    assert list(tmp_path.iterdir()) == []


def test_verilog_with_its_ports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verilog", "--config", "tiny", "-o", str(tmp_path)]) == 0
    verilog, sidecar = (Path(line) for line in capsys.readouterr().out.split())
    ports = json.loads(sidecar.read_text())["ports"]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".h", ".json", ".rdl", ".v", ".vlt", ".xml"]
    assert {tmp_path / name for name in json.loads(sidecar.read_text())["files"]} == set(tmp_path.iterdir())
    text = verilog.read_text()
    for port in ports:
        width = f"[{port['width'] - 1}:0] " if port["width"] > 1 else ""
        assert f"{port['direction']}put {width}{port['name']};" in text
