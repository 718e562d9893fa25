"""``arrayloom quantize`` from the command line."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from exact import assert_exact
from float_networks import NETWORKS, images
from PIL import Image

from arrayloom.host.cli.main import main


@pytest.fixture
def network(tmp_path: Path) -> Path:
    onnx.save(NETWORKS["residual"](), tmp_path / "float.onnx")
    return tmp_path / "float.onnx"


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    np.savez(tmp_path / "arrays.npz", data=images(4))
    return tmp_path / "arrays.npz"


def test_three_files_in_one_out(network: Path, arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.txt").write_text("0\n1\n2\n3\n")
    out = tmp_path / "int8.onnx"
    assert main(["quantize", str(network), "--calibrate", str(arrays), "--labels", str(tmp_path / "labels.txt"),
                 "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    for part in ("error against float", "SQNR", "same class   ", "accuracy     ", f"wrote        {out}"):
        assert part in printed
    assert_exact(onnx.load(out), images(1, seed=9))
    assert main(["verify", str(out), "--input", str(_image(tmp_path)), "--backend", "emulator", "--config", "tiny"]) == 0


def _image(folder: Path) -> Path:
    np.save(folder / "image.npy", images(1, seed=9))
    return folder / "image.npy"


def test_json(network: Path, arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", str(network), "--calibrate", str(arrays), "--percentile", "-o", str(tmp_path / "o.onnx"),
                 "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["method"] == "percentile"
    assert answer["images"] == answer["agreement"]["images"] == 4
    assert "accuracy_before" not in answer["agreement"]
    assert {"value", "node", "operator", "sqnr_db", "relative_error", "max_error", "scale"} == set(answer["layers"][0])


def test_photographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network with input [N, 3, 32, 32], calibrated by the recipe of CIFAR-10."""
    network = NETWORKS["folded_normalization"]()
    weight = next(tensor for tensor in network.graph.initializer if list(tensor.dims) == [6, 6, 3, 3])
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight)[:, :3].copy(), weight.name))
    shape = network.graph.input[0].type.tensor_type.shape
    for axis, extent in ((1, 3), (2, 32), (3, 32)):
        shape.dim[axis].dim_value = extent
    onnx.save(network, tmp_path / "n.onnx")
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    command = ["quantize", str(tmp_path / "n.onnx"), "--calibrate", str(folder), "-o", str(tmp_path / "o.onnx")]
    assert main([*command, "--preprocess", "cifar10"]) == 0
    assert "of 3 images" in capsys.readouterr().out
    assert main(command) == 2
    assert "photographs need a preprocessing recipe; add --preprocess NAME" in capsys.readouterr().err


def test_bad_input_writes_nothing(network: Path, arrays: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.onnx"
    (tmp_path / "labels.txt").write_text("0\n1\n2\n10\n")
    (tmp_path / "folder").mkdir()
    for given, message in (
        (["--calibrate", str(tmp_path / "none")], "no such folder or file"),
        (["--calibrate", str(tmp_path / "folder"), "--preprocess", "cifar10"], "holds no image"),
        (["--calibrate", str(arrays), "--labels", str(tmp_path / "labels.txt")],
         "arrays.npz[3]: label 10 is not a class: the network has 10, from 0"),
        (["--calibrate", str(arrays), "--labels", str(tmp_path / "no.txt")], "no.txt: labels cannot be read"),
    ):
        assert main(["quantize", str(network), *given, "-o", str(out)]) == 2
        assert message in capsys.readouterr().err
        assert not out.exists()
    assert main(["quantize", str(network), "--calibrate", str(arrays), "-o", str(tmp_path / "no" / "o.onnx")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_methods_exclude_each_other(network: Path, arrays: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["quantize", str(network), "--calibrate", str(arrays), "--minmax", "--entropy", "-o", str(tmp_path / "o.onnx")])
