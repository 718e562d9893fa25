"""Calibration data: accepted forms, and refusals with name, reason and remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from float_networks import NETWORKS, FloatNetwork, images
from PIL import Image

from arrayloom.compiler.errors import ModelError, UnsupportedError
from arrayloom.host.models.quantize import METHODS, Calibration, Port, QuantizeError, load_classes, quantize
from arrayloom.host.vision import recipe
from arrayloom.host.vision.errors import ImageError

PORT = Port("data", (3, 32, 32))


def _photograph(path: Path, size: tuple[int, int] = (40, 32), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _feeds(calibration: Calibration, *ports: Port) -> list[dict[str, Any]]:
    return list(calibration.feeds(ports or (PORT,)))


def test_a_folder(tmp_path: Path) -> None:
    _photograph(tmp_path / "b.png", seed=1)
    _photograph(tmp_path / "a" / "c.JPG", (64, 64), seed=2)
    (tmp_path / "notes.txt").write_text("not an image")
    calibration = Calibration.from_folder(tmp_path, "cifar10")
    assert [Path(name).name for name in calibration.names] == ["c.JPG", "b.png"]
    for _ in range(2):  # the data can be iterated again
        feeds = _feeds(calibration)
        assert [feed["data"].shape for feed in feeds] == [(1, 3, 32, 32)] * 2
    expected = recipe("cifar10").apply(np.asarray(Image.open(tmp_path / "b.png")))
    assert np.array_equal(feeds[1]["data"], expected)


def test_recipes_that_take_the_networks_size(tmp_path: Path) -> None:
    sizes = [(40, 32), (64, 64), (33, 90)]
    pixels = [np.asarray(Image.open(_photograph(tmp_path / f"{index}.png", size))) for index, size in enumerate(sizes)]
    port = Port("data", (3, 48, 64))
    feeds = _feeds(Calibration.from_folder(tmp_path, "yolo"), port)
    for feed, image in zip(feeds, pixels, strict=True):
        assert np.array_equal(feed["data"], recipe("yolo").fitted(48, 64).apply(image))
    np.savez(tmp_path / "photographs.npz", pixels[0][np.newaxis])
    assert np.array_equal(_feeds(Calibration.from_npz(tmp_path / "photographs.npz", "yolo"), port)[0]["data"],
                          feeds[0]["data"])
    last = _feeds(Calibration.from_folder(tmp_path, "yolo"), Port("data", (48, 64, 3)))
    assert np.array_equal(last[2]["data"], feeds[2]["data"].transpose(0, 2, 3, 1))


def test_folders_that_do_not_do(tmp_path: Path) -> None:
    with pytest.raises(QuantizeError, match=r"empty: holds no image among 1 files; put JPEG, PNG or BMP"):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "readme.md").write_text("")
        Calibration.from_folder(tmp_path / "empty", "cifar10")
    with pytest.raises(QuantizeError, match=r"nowhere: is not a folder; give a folder of photographs"):
        Calibration.from_folder(tmp_path / "nowhere", "cifar10")


def test_unreadable_images_are_all_named(tmp_path: Path) -> None:
    _photograph(tmp_path / "good.png")
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "none.bmp").write_bytes(b"")
    with pytest.raises(QuantizeError, match="2 of 3 images cannot be read") as caught:
        Calibration.from_folder(tmp_path, "cifar10")
    assert "text.jpg: is not a JPEG, PNG or BMP" in str(caught.value)
    assert "none.bmp: is empty" in str(caught.value)


def test_a_truncated_image_is_named(tmp_path: Path) -> None:
    path = _photograph(tmp_path / "cut.png")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ImageError, match=r"cut\.png: damaged or truncated image"):
        _feeds(Calibration.from_folder(tmp_path, "cifar10"))


def test_mixed_sizes_need_a_recipe_that_makes_one(tmp_path: Path) -> None:
    _photograph(tmp_path / "a.png", (40, 32))
    _photograph(tmp_path / "b.png", (32, 32))
    with pytest.raises(QuantizeError, match=r"a\.png is 40x32; .*b\.png is 32x32.*recipe none keeps that.*cifar10"):
        Calibration.from_folder(tmp_path, "none")
    assert len(_feeds(Calibration.from_folder(tmp_path, "cifar10"))) == 2


def test_one_size_that_is_not_the_networks(tmp_path: Path) -> None:
    _photograph(tmp_path / "a.png", (40, 32))
    with pytest.raises(QuantizeError, match=r"a\.png: 'data' has shape \[N, 3, 32, 40\], but the network takes 'data'"):
        _feeds(Calibration.from_folder(tmp_path, "none"))


def test_an_archive_is_read_row_by_row(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "x.npz", anything=values)
        feeds = _feeds(Calibration.from_npz(tmp_path / "x.npz"))
        assert np.array_equal(np.concatenate([feed["data"] for feed in feeds]), values)


def test_an_archive_of_photographs(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x=pixels, y=np.arange(4))
    feeds = _feeds(Calibration.from_npz(tmp_path / "x.npz", "cifar10"))
    assert np.array_equal(feeds[2]["data"], recipe("cifar10").apply(pixels[2]))


@pytest.mark.parametrize(("arrays", "message"), [
    ({"image": np.zeros((2, 3, 32, 32), np.float32), "other": np.zeros((2, 1), np.float32)},
     r"holds 'image' float32 \[2, 3, 32, 32\], 'other' .* but the network takes 'data' float32 \[N, 3, 32, 32\]; name"),
    ({"data": np.zeros((2, 32, 32, 3), np.float32)}, r"x\.npz\[0\]: 'data' has shape \[N, 32, 32, 3\], but the"),
    ({"data": np.zeros((2, 3, 32, 32))}, r"'data' has dtype float64.*astype\(numpy.float32\)"),
    ({"data": np.full((2, 3, 32, 32), np.nan, np.float32)}, r"x\.npz\[0\]: 'data' holds NaN or infinity"),
    ({"data": np.zeros((2, 3, 32, 32), np.float32), "other": np.zeros(3)}, "numbers of images differ"),
    ({"data": np.zeros((0, 3, 32, 32), np.float32)}, "the calibration holds no image"),
    ({"data": np.array(["text"], dtype=object)}, "Python objects"),
    ({"data": np.asfortranarray(np.zeros((2, 3, 32, 32), np.float32))}, "Fortran order"),
    ({}, "holds no array"),
])
def test_archives_that_do_not_fit(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(QuantizeError, match=message):
        _feeds(Calibration.from_npz(tmp_path / "x.npz"))


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK nonsense")
    with pytest.raises(QuantizeError, match=r"x\.npz: cannot be read as \.npz"):
        Calibration.from_npz(tmp_path / "x.npz")
    with pytest.raises(QuantizeError, match=r"y\.npz: no such file"):
        Calibration.from_npz(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", data=np.zeros((2, 3, 32, 32), np.float32))
    with pytest.raises(QuantizeError, match=r"but a recipe needs one uint8 array \[N, H, W, 3\]"):
        Calibration.from_npz(tmp_path / "z.npz", "cifar10")


def test_arrays_in_memory() -> None:
    values = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)
    batches, mappings = [row[np.newaxis] for row in values], [{"data": row} for row in values]
    for given in (values, list(values), batches, {"data": values}, mappings):
        feeds = _feeds(Calibration.from_arrays(given))
        assert np.array_equal(np.concatenate([feed["data"] for feed in feeds]), values)
    with pytest.raises(QuantizeError, match="holds no image"):
        Calibration.from_arrays([])
    with pytest.raises(QuantizeError, match=r"different numbers of images: \{'a': 3, 'b': 2\}"):
        Calibration.from_arrays({"a": values, "b": values[:2]})
    with pytest.raises(QuantizeError, match="the network has 2 inputs"):
        _feeds(Calibration.from_arrays(values), PORT, Port("mask", (1,)))
    with pytest.raises(QuantizeError, match="image 0: holds 'other', but the network takes 'data'"):
        _feeds(Calibration.from_arrays({"other": values}))


def test_labels(tmp_path: Path) -> None:
    calibration = Calibration(["dir/a.png", "dir/b.png"], lambda _: iter(()))
    for name, text in (("plain", "3\n1\n"), ("named", "b.png 1\ndir/a.png 3\n"), ("comma", "a.png,3\nb.png,1\n")):
        (tmp_path / name).write_text(text)
        assert load_classes(tmp_path / name, calibration) == [3, 1]
    np.save(tmp_path / "l.npy", np.array([3, 1]))
    np.savez(tmp_path / "l.npz", x=np.zeros((2, 4)), y=np.array([3, 1], np.uint8))
    assert load_classes(tmp_path / "l.npy", calibration) == load_classes(tmp_path / "l.npz", calibration) == [3, 1]


@pytest.mark.parametrize(("text", "message"), [
    ("1\n", r"holds 1 labels for 2 images"),
    ("1\ncat\n", r"line 2: 'cat' is not a class index"),
    ("a.png 1\n", r"has no label for dir/b\.png; add a line 'b\.png CLASS'"),
])
def test_labels_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(QuantizeError, match=message):
        load_classes(tmp_path / "labels.txt", Calibration(["dir/a.png", "dir/b.png"], lambda _: iter(())))
    np.save(tmp_path / "l.npy", np.array([0.5, 1]))
    with pytest.raises(QuantizeError, match="labels are integers"):
        load_classes(tmp_path / "l.npy", Calibration(["a", "b"], lambda _: iter(())))


CALIBRATION = Calibration.from_arrays(images(2))


def test_a_network_that_is_quantized_already() -> None:
    model = quantize(NETWORKS["residual"](), CALIBRATION).model
    with pytest.raises(QuantizeError, match="is quantized already; give the float network"):
        quantize(model, CALIBRATION)


def test_a_network_of_another_float_type() -> None:
    model = NETWORKS["residual"]()
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    with pytest.raises(QuantizeError, match="input 'data' of the model has dtype double; give the network a float32"):
        quantize(model, CALIBRATION)


def test_a_missing_or_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a file"):
        quantize(tmp_path / "none.onnx", CALIBRATION)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="is not an ONNX model"):
        quantize(tmp_path / "text.onnx", CALIBRATION)


def test_softmax_in_the_middle_is_refused_by_name() -> None:
    n = FloatNetwork()
    weights = n.node("Softmax", [n.conv("data")], axis=1)
    scaled = n.node("Mul", [weights, n.factors(1)])
    with pytest.raises(UnsupportedError, match="Softmax 'Softmax_softmax"):
        quantize(n.classify(n.conv(scaled)), CALIBRATION)


@pytest.mark.parametrize("method", METHODS)
def test_a_value_without_scale_is_named(method: str) -> None:
    n = FloatNetwork()
    x = n.conv("data")
    n.initializers[n.nodes[-1].input[2]][:] = -1000
    with pytest.raises(QuantizeError, match=r"(?s)0 on all 2 calibration images.*of Relu 'Relu_relu.*dead layers"):
        quantize(n.classify(n.node("Relu", [x])), CALIBRATION, method)


def test_a_value_that_overflows_is_named() -> None:
    n = FloatNetwork()
    x = n.conv("data")
    n.initializers[n.nodes[-1].input[1]][:] = 3e38
    with pytest.raises(QuantizeError, match=r"the result of Conv 'Conv_conv.*is not finite on the calibration images"):
        quantize(n.classify(x), CALIBRATION)


def test_unsupported_operators_are_all_listed_before_calibration() -> None:
    n = FloatNetwork()
    x = n.node("LRN", [n.conv("data")], size=3)
    x = n.node("InstanceNormalization", [x, n.factors(6), n.offsets(6)])

    def fail(*_: object) -> None:
        raise AssertionError("calibrated all the same")

    with pytest.raises(UnsupportedError, match="2 nodes") as caught:
        quantize(n.classify(n.conv(x)), CALIBRATION, progress=fail)
    assert "LRN 'LRN_lrn" in str(caught.value)
    assert "InstanceNormalization '" in str(caught.value)


def test_a_path_is_a_folder_or_a_file_of_photographs_or_of_arrays(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    photographs = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8)
    Image.fromarray(photographs[0]).save(tmp_path / "photographs" / "a.png")
    np.savez(tmp_path / "photographs.npz", photographs)
    np.savez(tmp_path / "arrays.npz", np.zeros((3, 3, 48, 64), np.float32))
    port = Port("data", (3, 48, 64))
    assert len(_feeds(Calibration.from_path(tmp_path / "photographs", "yolo"), port)) == 1
    assert len(_feeds(Calibration.from_path(tmp_path / "photographs.npz", "yolo"), port)) == 2
    assert len(_feeds(Calibration.from_path(tmp_path / "arrays.npz", None), port)) == 3
    assert len(_feeds(Calibration.from_path(tmp_path / "arrays.npz", "yolo", takes_arrays=True), port)) == 3
    assert len(_feeds(Calibration.from_path(tmp_path / "photographs.npz", "yolo", takes_arrays=True), port)) == 2
    for path, name, reason in ((tmp_path / "arrays.npz", "yolo", "a recipe needs one uint8 array"),
                               (tmp_path / "photographs", None, "add --preprocess NAME"),
                               (tmp_path / "absent", "yolo", "no such folder or file")):
        with pytest.raises(QuantizeError, match=reason):
            Calibration.from_path(path, name)
