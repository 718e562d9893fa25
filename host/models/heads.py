"""Training a head: logistic regression on standardized features, by scikit-learn."""

from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.heads.data import Examples
from arrayloom.host.models.heads.errors import HeadError
from arrayloom.host.models.heads.head import head_model

ITERATIONS = 1000


class Trained(NamedTuple):
    """``accuracy`` on the ``held_out`` rows that training did not see; ``training_accuracy`` on the ``trained`` others."""

    model: onnx.ModelProto
    labels: list[str]
    trained: int
    held_out: int
    training_accuracy: float
    accuracy: float


def train_head(examples: Examples, held_out: float = 0.25, seed: int = 0, penalty: float = 1.0) -> Trained:
    """A head on a part of the rows, drawn by ``seed`` class by class, and its accuracy on the others.

    ``held_out``: share of the rows to keep aside, above 0 and below 1; ``penalty``: strength of the L2 penalty.
    Raises ``HeadError`` for fewer than two classes, a class too rare to be divided, and arguments that cannot be.
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
    """[C, classes] and [classes]; for two classes scikit-learn gives the second one's alone."""
    if len(weights) == 1:
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return weights.T, intercepts


def _divide(labels: NDArray[np.str_], held_out: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to train on and to hold out: of every class the same share, at least one each."""
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
