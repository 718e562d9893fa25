"""Reading a file of weights by its suffix: names of parameters to arrays."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.networks.architectures import Blueprint
from arrayloom.host.models.networks.errors import WeightsError
from arrayloom.host.models.networks.weights.fit import fit
from arrayloom.host.models.networks.weights.from_onnx import read_onnx

Values = Mapping[str, NDArray[Any]]


class Weights(NamedTuple):
    """``notice``: what the file says that every output must say, such as that its weights are random."""

    parameters: dict[str, NDArray[np.float32]]
    notice: str | None


def read_weights(path: Path, blueprint: Blueprint) -> Weights:
    """The network's parameters from a file: ``.npz``, ``.safetensors``, ``.pth`` or ``.pt`` (a torch ``state_dict``), or
    ``.onnx``.

    Raises ``WeightsError`` for a file that cannot be read, another suffix, and what ``fit`` refuses.
    """
    if path.suffix not in FORMATS:
        raise WeightsError(f"{path}: weights are read from {', '.join(FORMATS)}; this suffix is none of them")
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give the file of the weights")
    values = dict(FORMATS[path.suffix](path, blueprint))
    notice = values.pop(NOTICE, None)
    return Weights(fit(blueprint, values, str(path)), None if notice is None else str(notice))


def _npz(path: Path, _: Blueprint) -> Values:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # numpy, zipfile and zlib each raise their own on damaged files
        raise _unreadable(path, "an .npz that numpy can read", error) from None


def _safetensors(path: Path, _: Blueprint) -> Values:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError) as error:   # KeyError, TypeError: a dtype that numpy lacks
        raise _unreadable(path, "a .safetensors file of numpy's types", error) from None


def _torch(path: Path, _: Blueprint) -> Values:
    try:
        import torch
    except ImportError:
        raise WeightsError(f"{path}: reading it needs torch; pip install '.[torch]', or save the weights as "
                           ".safetensors or .npz") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler and zip reader meet
        raise _unreadable(path, "a state_dict (only tensors are unpickled; torch.save(model.state_dict(), ...))",
                          error) from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds {type(state).__name__}, not a state_dict of tensors; save model.state_dict()")
    return {name: value.float().numpy() for name, value in state.items()}


def _unreadable(path: Path, wanted: str, error: Exception) -> WeightsError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return WeightsError(f"{path}: is not {wanted}: {reason}; obtain the file again")


FORMATS: dict[str, Callable[[Path, Blueprint], Values]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pth": _torch,
    ".pt": _torch,
    ".onnx": read_onnx,
}
"""Readers by suffix."""
