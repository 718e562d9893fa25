"""Writes results to files atomically."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx

from arrayloom.host.runtime.errors import InputError
from arrayloom.host.runtime.session import Features
from arrayloom.isa.files import write_atomically


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Writes an ONNX file atomically."""
    _save_whole(path, lambda file: file.write(model.SerializeToString()))


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes an .npz atomically."""
    _save_whole(path, lambda file: np.savez(file, **arrays))


def save_features(path: Path, features: Sequence[Features], files: Sequence[str], model: str,
                  notices: Sequence[str]) -> None:
    """Writes the features of several runs as one .npz atomically.

    ``features`` float32 [N, H, W, C] and ``features_integer``, ``files`` [N], ``model``, and ``notices`` of the model.
    """
    save_arrays(path, {"features": np.concatenate([each.values for each in features]),
                       "features_integer": np.concatenate([each.integers for each in features]),
                       "files": np.array(files), "model": np.array(model), "notices": np.array(notices, dtype=str)})


def _save_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    try:
        with write_atomically(path) as file:
            write(file)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
