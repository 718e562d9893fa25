"""``arrayloom network``, and score and verify on its files; the five networks at full size are slow tests."""

import json

import numpy as np
import onnx
import pytest
from small_network import SMALL

from arrayloom.host.cli.main import main
from arrayloom.host.models.networks import SPECS
from arrayloom.host.models.networks.build import seeded_images

RANDOM = "its weights are random (seed 3): bits and cycles are meaningful, classes are not"


@pytest.fixture
def small(monkeypatch):
    """Adds the small network to those that the commands know."""
    monkeypatch.setitem(SPECS, "small", SMALL)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.npy"
    np.save(path, seeded_images(SMALL.blueprint(5), "cifar10", 2, 1))
    return str(path)


@pytest.mark.usefixtures("small")
def test_every_output_says_that_weights_are_random(image, tmp_path, capsys):
    path = str(tmp_path / "small.onnx")
    assert main(["network", "small", "--random", "3", "-o", path]) == 0
    printed = capsys.readouterr().out
    assert f"notice       {RANDOM}" in printed
    assert "alive        all " in printed
    on = ["--config", "tiny", "--backend", "emulator"]
    for arguments in (["score", path, image, *on], ["verify", path, "--input", image, *on],
                      ["compile", path, "-o", str(tmp_path / "small.loom"), "--config", "tiny"],
                      ["info", str(tmp_path / "small.loom")], ["explore", path, "--configs", "tiny"],
                      ["run", str(tmp_path / "small.loom"), "--input", image, *on[2:]],
                      ["score", str(tmp_path / "small.loom"), image, *on[2:]]):
        for json_too in ([], ["--json"]):
            if json_too and arguments[0] == "compile":
                continue
            assert main([*arguments, *json_too]) == 0
            assert RANDOM in capsys.readouterr().out, arguments
    assert main(["score", path, image, *on, "--features", str(tmp_path / "features.npz")]) == 0
    with np.load(tmp_path / "features.npz") as arrays:
        assert arrays["notices"].tolist() == [RANDOM]


@pytest.mark.usefixtures("small")
def test_verifies_without_a_differing_byte(image, tmp_path, capsys):
    path = tmp_path / "small.onnx"
    assert main(["network", "small", "--random", "3", "-o", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["notice"] == RANDOM
    assert facts["liveness"]["values_used"] > 1
    assert main(["verify", str(path), "--input", image, "--config", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes_differing"] == 0


@pytest.mark.usefixtures("small")
def test_weights_of_a_file_and_a_folder_of_photographs(tmp_path, capsys):
    from PIL import Image

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "weights.npz", **{name: rng.uniform(0.1, 0.5, shape).astype(np.float32)
                                          for name, shape in SMALL.blueprint(5).parameters.items()})
    (tmp_path / "photographs").mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / "photographs" / f"{number}.png")
    build = ["network", "small", "--weights", str(tmp_path / "weights.npz"), "-o", str(tmp_path / "small.onnx"), "--json"]
    assert main(build) == 2
    assert "add a folder of them (--calibrate DIR)" in capsys.readouterr().err
    assert main([*build, "--calibrate", str(tmp_path / "photographs")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["weights"], facts["notice"], facts["liveness"]) == ("weights.npz", None, None)
    assert main([*build, "--float"]) == 0
    assert not json.loads(capsys.readouterr().out)["quantized"]
    assert any(node.op_type == "BatchNormalization" for node in onnx.load(tmp_path / "small.onnx").graph.node)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("arguments", "message"), [
    (["resnet34", "--random", "0"], "network 'resnet34': unknown; known are resnet50, resnet152"),
    (["small", "--random", "-1"], "--random -1: a seed is a whole number from 0"),
    (["small", "--random", "0", "--float", "--calibrate", "x"], "--calibrate: the float network has no ranges"),
    (["small", "--random", "0", "--preprocess", "sepia"], "unknown recipe 'sepia'"),
    (["small", "--random", "0", "--calibrate", "absent"], "absent: no such folder or file"),
    (["small", "--weights", "absent.npz"], "absent.npz: no such file"),
    (["small", "--random", "0", "--classes", "0"], "0 classes; must be at least 1"),
])
def test_arguments_that_do_not_fit(arguments, message, tmp_path, capsys):
    assert main(["network", *arguments, "-o", str(tmp_path / "out.onnx")]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


def test_help_has_an_example(capsys):
    for name in ("network", "fetch", "train-head"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert f"example: arrayloom {name}" in " ".join(capsys.readouterr().out.split())


MACS = {"resnet50": 4_089_184_256, "resnet152": 11_513_626_624, "vgg16": 15_470_264_320, "densenet121": 2_834_161_664,
        "ssd_vgg": 31_374_277_120}


@pytest.mark.slow
@pytest.mark.parametrize("name", MACS)
def test_whole_and_at_full_size(name, tmp_path, capsys):
    """No byte differs, and the host computes only quantization, dequantization and softmax."""
    path, image = tmp_path / f"{name}.onnx", tmp_path / "image.npy"
    assert main(["network", name, "--random", "0", "-o", str(path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    spec = SPECS[name]
    np.save(image, seeded_images(spec.blueprint(spec.classes), facts["recipe"], 2, 1))
    if name == "ssd_vgg":
        assert facts["normalization"]["rms"] < 0.06
    assert main(["verify", str(path), "--input", str(image), "--config", "32x32", "--backend", "emulator", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["bytes_differing"] == 0
    assert result["macs"] == MACS[name]
