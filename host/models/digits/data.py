"""The handwritten digits of scikit-learn, as pictures and as the network's input, split once and for all.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (the test
part, 1797 images), as distributed by scikit-learn. A pixel counts the strokes in a 4x4 block, 0..16.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.vision import recipe
from arrayloom.isa.errors import ArrayloomError

try:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as error:
    raise ArrayloomError("the digits data set comes with scikit-learn, which is missing; install it") from error

SPLIT_SEED = 0
HELD_OUT = 0.2
"""Part of the images that training and calibration never see, drawn evenly from the classes."""


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
