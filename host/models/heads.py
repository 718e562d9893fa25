"""Transfer learning: a user's own classifier, called a head, on the features of a network.

`load_examples` reads features and labels, `train_head` fits a logistic regression with scikit-learn, and `Head` runs the
ONNX file with the result and its class names.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from arrayloom.compiler.frontend import NOTICE
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.errors import HeadError

FEATURES, NOTICES, MODEL = "features", "notices", "model"
"""Names of the arrays in a file of features."""

INPUT, OUTPUT = "features", "probabilities"
"""Names of a head's input and output."""

LABELS = "arrayloom.labels"
"""Metadata of a head's file: its class names as JSON."""

ITERATIONS = 1000
"""Most iterations of the logistic regression."""

_OPSET, _IR_VERSION = 13, 8


class Examples(NamedTuple):
    """``features``: float32 [N, C]; ``labels``: class names [N]; ``notices``: those of the model that computed the
    features."""

    features: NDArray[np.float32]
    labels: NDArray[np.str_]
    model: str
    notices: list[str]


def load_examples(features: Path, labels: Path) -> Examples:
    """Reads a file of ``arrayloom score --features`` and the class of each of its rows.

    ``labels``: text with one class per line, or the integers of an .npy, in the order of the features. Raises ``HeadError``.
    """
    arrays = _arrays(features)
    if FEATURES not in arrays:
        raise HeadError(f"{features}: holds no array '{FEATURES}' (it has {', '.join(arrays) or 'none'}); write it with "
                        "arrayloom score --features")
    values = arrays[FEATURES]
    if values.ndim < 2 or not np.issubdtype(values.dtype, np.floating) or not np.isfinite(values).all():
        raise HeadError(f"{features}: features {values.dtype} {list(values.shape)} must be finite floats [N, ..., C]")
    names = _labels(labels)
    if len(names) != len(values):
        raise HeadError(f"{labels}: {len(names)} labels for {len(values)} rows of features in {features}; give one per row, "
                        "in the order of the features")
    rows = values.reshape(len(values), -1).astype(np.float32)
    return Examples(rows, names, str(arrays.get(MODEL, "")), [str(notice) for notice in arrays.get(NOTICES, [])])


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise HeadError(f"{path}: no such file; write it with arrayloom score --features") from None
    except Exception as error:  # numpy, zipfile and zlib raise different errors for damaged files
        raise HeadError(f"{path}: is not an .npz that numpy can read ({error}); write it with "
                        "arrayloom score --features") from None


def _labels(path: Path) -> NDArray[np.str_]:
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False)).reshape(-1).astype(str)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise HeadError(f"{path}: labels cannot be read ({error}); give text with one class per line, or an .npy") from None
    empty = [str(number) for number, line in enumerate(lines, 1) if not line.strip()]
    if empty:
        raise HeadError(f"{path}: line {empty[0]} is empty; give one class per line")
    return np.array([line.strip() for line in lines], dtype=str)


def head_model(weight: NDArray[np.float32], bias: NDArray[np.float32], labels: list[str],
               metadata: dict[str, str]) -> onnx.ModelProto:
    """softmax(features · weight + bias) as ONNX; ``weight`` [C, classes], ``bias`` [classes]."""
    nodes = [helper.make_node("Flatten", [INPUT], ["rows"], name="flatten"),
             helper.make_node("Gemm", ["rows", "weight", "bias"], ["logits"], name="classifier"),
             helper.make_node("Softmax", ["logits"], [OUTPUT], name="softmax", axis=1)]
    graph = helper.make_graph(
        nodes, "head", [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", 1, 1, len(weight)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["N", len(labels)])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="arrayloom")
    model.ir_version = _IR_VERSION
    helper.set_model_props(model, {LABELS: json.dumps(labels)} | metadata)
    return model


class Head:
    """A file written by ``arrayloom train-head``. ``labels``: the classes in order; ``width``: the number of input features.

    Raises ``HeadError`` for any other file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            model = onnx.load(path)
        except FileNotFoundError:
            raise HeadError(f"{path}: no such file; make a head with arrayloom train-head") from None
        except (DecodeError, OSError) as error:
            raise HeadError(f"{path}: is not an ONNX model ({error}); make a head with arrayloom train-head") from None
        named = [entry.value for entry in model.metadata_props if entry.key == LABELS]
        inputs = [value.name for value in model.graph.input]
        if not named or inputs != [INPUT]:
            raise HeadError(f"{path}: is not a head, since its metadata names no classes; make one with: "
                            "arrayloom train-head")
        self.labels: list[str] = json.loads(named[0])
        self.width = int(model.graph.input[0].type.tensor_type.shape.dim[3].dim_value)
        self._session = Session(model)

    def __call__(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Features [N, 1, 1, C] to probabilities [N, classes]; raises ``HeadError`` if C is not ``width``."""
        if features.ndim != 4 or features.shape[1:] != (1, 1, self.width):
            raise HeadError(f"{self.path}: takes features [N, 1, 1, {self.width}], but the network's are "
                            f"{list(features.shape)}; train a head on features of this network")
        return self._session.run({INPUT: features.astype(np.float32)})[OUTPUT]


class Trained(NamedTuple):
    """``accuracy`` on the ``held_out`` rows that training did not see; ``training_accuracy`` on the ``trained`` rows."""

    model: onnx.ModelProto
    labels: list[str]
    trained: int
    held_out: int
    training_accuracy: float
    accuracy: float


def train_head(examples: Examples, held_out: float = 0.25, seed: int = 0, penalty: float = 1.0) -> Trained:
    """Trains a head on some of the rows, drawn per class with ``seed``, and measures its accuracy on the others.

    ``held_out``: fraction of the rows to hold out, above 0 and below 1; ``penalty``: strength of the L2 penalty.
    Raises ``HeadError`` for fewer than two classes, a class with too few rows to split, and invalid arguments.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if penalty <= 0:
        raise HeadError(f"penalty {penalty:g}: must be above 0")
    inside, outside = _divide(examples.labels, held_out, seed)
    scaler = StandardScaler().fit(examples.features[inside].astype(np.float64))
    classifier = LogisticRegression(C=1 / penalty, max_iter=ITERATIONS, random_state=seed)
    classifier.fit(scaler.transform(examples.features[inside].astype(np.float64)), examples.labels[inside])
    weight, bias = _both_sides(classifier.coef_, classifier.intercept_)
    weight = weight / scaler.scale_[:, np.newaxis]
    bias = bias - scaler.mean_ @ weight
    labels = [str(name) for name in classifier.classes_]
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    predicted = np.array(labels)[(examples.features @ weight + bias).argmax(axis=1)]
    right = predicted == examples.labels
    notices = {NOTICE: "; ".join(examples.notices)} if examples.notices else {}
    return Trained(head_model(weight, bias, labels, notices | {"arrayloom.features": examples.model}), labels, len(inside),
                   len(outside), float(right[inside].mean()), float(right[outside].mean()))


def _both_sides(weights: NDArray[np.float64], intercepts: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Weight [C, classes] and bias [classes]; for two classes scikit-learn returns only those of the second."""
    if len(weights) == 1:
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return weights.T, intercepts


def _divide(labels: NDArray[np.str_], held_out: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to train on and to hold out: the same fraction of every class, at least one each."""
    if not 0 < held_out < 1:
        raise HeadError(f"held out {held_out:g}: must lie between 0 and 1, both excluded")
    names, counts = np.unique(labels, return_counts=True)
    if len(names) < 2:
        raise HeadError(f"the labels hold {len(names)} class ({', '.join(names)}); a classifier needs two")
    rare = names[counts < 2]
    if len(rare):
        raise HeadError(f"class '{rare[0]}': has one example; two are needed, one to train on and one to hold out")
    rng = np.random.default_rng(seed)
    outside = np.concatenate([_some(rng, np.flatnonzero(labels == name), held_out) for name in names])
    return np.setdiff1d(np.arange(len(labels)), outside), outside


def _some(rng: np.random.Generator, places: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    count = min(max(1, round(share * len(places))), len(places) - 1)
    return rng.permutation(places)[:count]
