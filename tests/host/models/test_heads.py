"""Heads: training on features, accuracy on held-out rows, scoring, and refusals."""

import json

import numpy as np
import onnx
import pytest

from arrayloom.host.cli.main import main
from arrayloom.host.models import digits
from arrayloom.host.models.errors import HeadError
from arrayloom.host.models.heads import Examples, Head, load_examples, train_head


def clusters(count=90, classes=3, width=8, seed=0):
    """Features around one centre per class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = rng.normal(0, 3, (classes, width))
    features = (centres[labels] + rng.normal(0, 1, (count, width))).astype(np.float32)
    return Examples(features, np.array([f"class {label}" for label in labels]), "model.onnx", [])


def test_learns_what_can_be_learned_and_not_what_cannot():
    examples = clusters()
    trained = train_head(examples)
    assert (trained.trained, trained.held_out) == (66, 24)
    assert trained.labels == ["class 0", "class 1", "class 2"]
    assert trained.accuracy > 0.9
    shuffled = examples._replace(labels=np.random.default_rng(1).permutation(examples.labels))
    assert train_head(shuffled).accuracy < 0.7


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_gives_scikit_learns_probabilities(classes, tmp_path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    examples = clusters(classes=classes)
    trained = train_head(examples, held_out=0.2, seed=3, penalty=2)
    onnx.save(trained.model, tmp_path / "head.onnx")
    head = Head(tmp_path / "head.onnx")
    found = head(examples.features[:, None, None])
    outside = _held_out(examples, 0.2, 3)
    inside = np.setdiff1d(np.arange(len(examples.labels)), outside)
    scaler = StandardScaler().fit(examples.features[inside])
    rows = scaler.transform(examples.features)
    wanted = LogisticRegression(C=0.5, max_iter=1000).fit(rows[inside], examples.labels[inside])
    np.testing.assert_allclose(found, wanted.predict_proba(rows), atol=1e-4)
    right = np.array(head.labels)[found.argmax(axis=1)] == examples.labels
    assert trained.accuracy == right[outside].mean()
    assert trained.training_accuracy == right[inside].mean()


def _held_out(examples, share, seed):
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(examples.labels == name) for name in np.unique(examples.labels)]
    return np.concatenate([rng.permutation(each)[:round(share * len(each))] for each in rows])


def test_the_division_is_seeded():
    examples = clusters(seed=5)
    models = [train_head(examples, seed=seed).model.SerializeToString() for seed in (0, 0, 1)]
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize(("labels", "arguments", "message"), [
    (["a"] * 6, {}, r"the labels hold 1 class \(a\); a classifier needs two"),
    (["a"] * 5 + ["b"], {}, "class 'b': has one example; two are needed"),
    (["a", "b"] * 3, {"held_out": 1.0}, "held out 1: must lie between 0 and 1"),
    (["a", "b"] * 3, {"penalty": 0.0}, "penalty 0: must be above 0"),
])
def test_arguments_that_do_not_fit(labels, arguments, message):
    examples = Examples(np.zeros((6, 2), np.float32), np.array(labels), "", [])
    with pytest.raises(HeadError, match=message):
        train_head(examples, **arguments)


def _file(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_labels_as_text_or_integers(tmp_path):
    features = _file(tmp_path / "f.npz", features=np.zeros((3, 1, 1, 2), np.float32))
    (tmp_path / "l.txt").write_text("cat\ntabby cat\ncat\n")
    np.save(tmp_path / "l.npy", [7, 8, 7])
    assert load_examples(features, tmp_path / "l.txt").labels.tolist() == ["cat", "tabby cat", "cat"]
    assert load_examples(features, tmp_path / "l.npy").labels.tolist() == ["7", "8", "7"]


@pytest.mark.parametrize(("arrays", "labels", "message"), [
    ({"other": np.zeros((2, 3), np.float32)}, "a\nb\n", r"holds no array 'features' \(it has other\)"),
    ({"features": np.zeros((2, 3), np.float32)}, "a\n", "1 labels for 2 rows of features"),
    ({"features": np.zeros((2, 3), np.float32)}, "a\n\n", "line 2 is empty"),
    ({"features": np.full((2, 3), np.nan, np.float32)}, "a\nb\n", "must be finite floats"),
    ({"features": np.zeros((2, 3), np.int8)}, "a\nb\n", r"features int8 \[2, 3\] must be finite floats"),
])
def test_files_that_do_not_fit(arrays, labels, message, tmp_path):
    (tmp_path / "l.txt").write_text(labels)
    with pytest.raises(HeadError, match=message):
        load_examples(_file(tmp_path / "f.npz", **arrays), tmp_path / "l.txt")


def test_files_that_are_missing_or_damaged(tmp_path):
    features = _file(tmp_path / "f.npz", features=np.zeros((3, 2), np.float32))
    with pytest.raises(HeadError, match="labels cannot be read"):
        load_examples(features, tmp_path / "absent.txt")
    with pytest.raises(HeadError, match="no such file; write it with arrayloom score"):
        load_examples(tmp_path / "absent.npz", features)
    (tmp_path / "damaged.npz").write_bytes(features.read_bytes()[:100])
    with pytest.raises(HeadError, match=r"is not an \.npz that numpy can read"):
        load_examples(tmp_path / "damaged.npz", features)


def test_files_that_are_no_heads(tmp_path):
    (tmp_path / "text.onnx").write_text("text")
    for path, message in ((tmp_path / "absent.onnx", "no such file"), (tmp_path / "text.onnx", "is not an ONNX model"),
                          (digits.FLOAT_MODEL, "is not a head")):
        with pytest.raises(HeadError, match=message):
            Head(path)


def test_digits_become_odd_and_even(tmp_path, capsys):
    """End to end: features from the emulator, training, scoring, with the accuracy that the command prints."""
    data = pytest.importorskip("sklearn.datasets").load_digits()
    np.save(tmp_path / "digits.npy", (data.images[:60] / 16).astype(np.float32)[:, np.newaxis])
    (tmp_path / "labels.txt").write_text("".join("odd\n" if each % 2 else "even\n" for each in data.target[:60]))
    score = ["score", str(digits.MODEL), "--config", "tiny", "--backend", "emulator", "--json"]
    features, head = tmp_path / "features.npz", tmp_path / "head.onnx"
    assert main([*score, str(tmp_path / "digits.npy"), "--features", str(features)]) == 0
    with np.load(features) as arrays:
        assert arrays["features"].shape == (60, 1, 1, 32)
        assert arrays["files"].tolist() == [str(tmp_path / "digits.npy")] * 60
    capsys.readouterr()
    assert main(["train-head", str(features), str(tmp_path / "labels.txt"), "-o", str(head), "--json"]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["classes"] == ["even", "odd"]
    assert trained["held_out"] == 16
    assert trained["accuracy"] > 0.8
    picture = str(digits.IMAGES / "digit_3_0705.png")
    assert main([*score, picture, "--preprocess", "digits", "--head", str(head)]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert [entry["label"] for entry in image["top"]] == ["odd", "even"]
    assert sum(entry["confidence"] for entry in image["top"]) == pytest.approx(1)


def test_a_head_of_another_network(tmp_path, capsys):
    onnx.save(train_head(clusters(width=8)).model, tmp_path / "head.onnx")
    picture, head = str(digits.IMAGES / "digit_3_0705.png"), str(tmp_path / "head.onnx")
    score = ["score", str(digits.MODEL), picture, "--preprocess", "digits", "--config", "tiny", "--head", head]
    assert main([*score, "--backend", "emulator"]) == 2
    assert "takes features [N, 1, 1, 8], but the network's are [1, 1, 1, 32]" in capsys.readouterr().err
    assert main([*score, "--backend", "onnxruntime"]) == 2
    assert "has no features; use rtl or emulator" in capsys.readouterr().err
    assert main([*score, "--labels", str(digits.LABELS)]) == 2
    assert "a head has class names of its own" in capsys.readouterr().err


def test_notices_travel_with_features_and_heads(tmp_path, capsys):
    features = _file(tmp_path / "f.npz", features=clusters().features, notices=np.array(["its weights are random"]))
    (tmp_path / "l.txt").write_text("\n".join(clusters().labels))
    assert main(["train-head", str(features), str(tmp_path / "l.txt"), "-o", str(tmp_path / "head.onnx")]) == 0
    assert "notice       its weights are random" in capsys.readouterr().out
    assert "its weights are random" in {entry.value for entry in onnx.load(tmp_path / "head.onnx").metadata_props}


@pytest.mark.slow
def test_cifar10_on_the_features_of_resnet20(shared_data, tmp_path, capsys):
    with np.load(shared_data / "cifar10_lossless_130.npz") as arrays:
        pixels, labels = arrays["x_uint8_nhwc"], arrays["y"]
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    images = ((pixels.astype(np.float32) / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
    np.save(tmp_path / "images.npy", np.ascontiguousarray(images))
    np.save(tmp_path / "labels.npy", labels)
    model, features = shared_data / "models" / "resnet20_cifar10_int8_qop.onnx", tmp_path / "features.npz"
    assert main(["score", str(model), str(tmp_path / "images.npy"), "--backend", "emulator", "--features", str(features),
                 "--json"]) == 0
    capsys.readouterr()
    train = ["train-head", str(features), str(tmp_path / "labels.npy"), "-o", str(tmp_path / "head.onnx"), "--json"]
    assert main(train) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.7
