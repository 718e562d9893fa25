"""Features and labels from files."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.heads.errors import HeadError

FEATURES, NOTICES, MODEL = "features", "notices", "model"
"""Names of the arrays in a file of features."""


class Examples(NamedTuple):
    """``features``: float32 [N, C]; ``labels``: class names [N]; ``notices`` of the model that made the features."""

    features: NDArray[np.float32]
    labels: NDArray[np.str_]
    model: str
    notices: list[str]


def load_examples(features: Path, labels: Path) -> Examples:
    """A file of ``arrayloom score --features`` and the class of each of its rows.

    ``labels``: text with one class a line, or the integers of an .npy, in the order of the features. Raises ``HeadError``.
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
        raise HeadError(f"{labels}: {len(names)} labels for {len(values)} rows of features in {features}; give one a row, "
                        "in the order of the features")
    rows = values.reshape(len(values), -1).astype(np.float32)
    return Examples(rows, names, str(arrays.get(MODEL, "")), [str(notice) for notice in arrays.get(NOTICES, [])])


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise HeadError(f"{path}: no such file; write it with arrayloom score --features") from None
    except Exception as error:  # numpy, zipfile and zlib each raise their own on damaged files
        raise HeadError(f"{path}: is not an .npz that numpy can read ({error}); write it with "
                        "arrayloom score --features") from None


def _labels(path: Path) -> NDArray[np.str_]:
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False)).reshape(-1).astype(str)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise HeadError(f"{path}: labels cannot be read ({error}); give text with one class a line, or an .npy") from None
    empty = [str(number) for number, line in enumerate(lines, 1) if not line.strip()]
    if empty:
        raise HeadError(f"{path}: line {empty[0]} is empty; give one class a line")
    return np.array([line.strip() for line in lines], dtype=str)
