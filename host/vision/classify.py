"""From scores to classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.boundary import InputError, softmax


@dataclass(frozen=True)
class Ranked:
    """One class of an image's ranking; ``confidence`` from 0 to 1."""

    index: int
    label: str
    confidence: float


def load_labels(path: Path) -> list[str]:
    """One label a line, in index order; raises ``InputError``."""
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: labels cannot be read: {error}") from None


def rank(scores: NDArray[Any], count: int, labels: list[str] | None = None) -> list[Ranked]:
    """The ``count`` best classes of one image; logits become confidences by softmax, probabilities are taken as such."""
    flat = scores.reshape(-1).astype(np.float32)
    is_probability = flat.min() >= 0 and abs(float(flat.sum()) - 1) < 1e-2
    confidence = flat if is_probability else softmax(flat, 0)
    best = np.argsort(-flat, kind="stable")[:count]
    if labels is not None and len(labels) < len(flat):
        raise InputError(f"{len(labels)} labels for {len(flat)} classes; give a file with one label a class")
    return [Ranked(int(i), labels[i] if labels else str(i), float(confidence[i])) for i in best]
