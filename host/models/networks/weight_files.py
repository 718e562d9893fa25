"""Reads weights from a file by its suffix, and checks that they fit a network by name and shape."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.errors import WeightsError
from arrayloom.host.models.networks.blueprint import Blueprint
from arrayloom.host.models.networks.onnx_weights import read_onnx

Values = Mapping[str, NDArray[Any]]

COUNTERS = ".num_batches_tracked"
"""Suffix of torch's training counters, which inference does not use."""

LISTED = 8
"""Most parameters named in a message."""

SAFE_TORCH = (2, 10)
"""First version of torch whose ``weights_only`` is safe: before 2.6 a file could run code, before 2.10 it could
write out of bounds."""

# torchvision's DenseNet file has older module names; torchvision renames them on loading too
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12])\.(weight|bias|running_mean|running_var)$")


class Weights(NamedTuple):
    """``notice``: the file's warning to repeat with every output, such as that its weights are random."""

    parameters: dict[str, NDArray[np.float32]]
    notice: str | None


def read_weights(path: Path, blueprint: Blueprint) -> Weights:
    """The network's parameters from a file: ``.npz``, ``.safetensors``, ``.pth`` or ``.pt`` (a torch ``state_dict``), or
    ``.onnx``.

    Raises ``WeightsError`` for an unreadable file, another suffix, and whatever ``fit`` refuses.
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
    except Exception as error:  # numpy, zipfile and zlib raise different errors for damaged files
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
    if tuple(map(int, torch.__version__.split(".")[:2])) < SAFE_TORCH:
        raise WeightsError(f"{path}: this torch, {torch.__version__}, can run code that is in a {path.suffix} file; upgrade "
                           f"it to {'.'.join(map(str, SAFE_TORCH))} or later, or save the weights as .safetensors")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on any error of its unpickler and zip reader
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


def fit(blueprint: Blueprint, values: Mapping[str, NDArray[Any]], source: str) -> dict[str, NDArray[np.float32]]:
    """Selects the network's parameters from ``values`` as float32.

    Raises ``WeightsError`` naming ``source`` and each parameter that is missing, has another shape (both are given), is
    unknown to the network, or holds NaN or infinity.
    """
    found = {_OLD_DENSENET.sub(r"\1\2.\3", name): value for name, value in values.items() if not name.endswith(COUNTERS)}
    faults = [*_misfits(blueprint, found), *(f"{name} {list(found[name].shape)} is not a parameter of the network"
                                            for name in found if name not in blueprint.parameters)]
    if faults:
        more = f"; and {len(faults) - LISTED} more" if len(faults) > LISTED else ""
        raise WeightsError(f"{source}: does not fit {blueprint.name}: {'; '.join(faults[:LISTED])}{more}. "
                           f"Give the state_dict of torchvision's model of that name, with the same number of classes")
    return {name: np.asarray(found[name], np.float32) for name in blueprint.parameters}


def _misfits(blueprint: Blueprint, found: Mapping[str, NDArray[Any]]) -> list[str]:
    faults = []
    for name, shape in blueprint.parameters.items():
        if name not in found:
            faults.append(f"{name} {list(shape)} is missing")
        elif tuple(found[name].shape) != shape:
            faults.append(f"{name} has shape {list(found[name].shape)} in the file and {list(shape)} in the network")
        elif not np.issubdtype(found[name].dtype, np.floating):
            faults.append(f"{name} has dtype {found[name].dtype}, not a float one")
        elif not np.isfinite(found[name]).all():
            faults.append(f"{name} holds NaN or infinity")
    return faults
