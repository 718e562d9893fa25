"""The accuracy of the shipped digits network on held-out images: `python -m arrayloom.host.models.digits.evaluate`.

The images are scikit-learn's handwritten digits, with a fixed split into training and held-out images. Source: E.
Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (the test part, 1797
images), as distributed by scikit-learn. A pixel counts the set pixels in a 4x4 block, 0..16.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.digits import FLOAT_MODEL, MODEL
from arrayloom.host.vision import recipe
from arrayloom.isa.errors import ArrayloomError

try:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as error:
    raise ArrayloomError("the digits data set comes with scikit-learn, which is missing; install it") from error

SPLIT_SEED = 0
HELD_OUT = 0.2
"""Fraction of the images that training and calibration never see, stratified by class."""


@dataclass(frozen=True)
class Split:
    """Images: `pixels` uint8 [n, 8, 8] grey, `inputs` float32 [n, 1, 8, 8], `labels` and `indices` int64 [n]."""

    pixels: NDArray[np.uint8]
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


def load_splits() -> tuple[Split, Split]:
    """Return the training and the held-out images."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    chosen = train_test_split(
        np.arange(len(pixels)), test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=digits.target
    )
    train, held_out = (_split(pixels[indices], digits.target[indices], indices) for indices in chosen)
    return train, held_out


def _split(pixels: NDArray[np.uint8], labels: NDArray[np.int64], indices: NDArray[np.int64]) -> Split:
    preprocess = recipe("digits")
    inputs = [preprocess.apply(np.repeat(grey[:, :, np.newaxis], 3, axis=2)) for grey in pixels]
    return Split(pixels, np.concatenate(inputs), labels, indices)


def correct(model: Path, images: Split) -> int:
    """Return how many of `images` the ONNX model classifies correctly in ONNX Runtime."""
    session = Session(onnx.load(model))
    (logits,) = session.run({session.inputs[0]: images.inputs}).values()
    return int(np.count_nonzero(np.asarray(logits).argmax(axis=1) == images.labels))


def main() -> None:
    """Print the accuracies of the float and of the int8 model."""
    _, held_out = load_splits()
    count = len(held_out.labels)
    for kind, model in (("float", FLOAT_MODEL), ("int8", MODEL)):
        right = correct(model, held_out)
        print(f"{kind:5}: {100 * right / count:.2f} % ({right} of {count} held-out images)")


if __name__ == "__main__":
    main()
