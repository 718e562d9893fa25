"""Loads input files as arrays: images through a recipe, .npy and .npz unchanged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from arrayloom.host.runtime.errors import InputError
from arrayloom.host.vision import preprocess
from arrayloom.isa.host_steps import Quantize

Array = NDArray[Any]


class Port(Protocol):
    """An input of a model; ``shape`` excludes the batch."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> DTypeLike: ...

    @property
    def encoding(self) -> Quantize | None: ...


def load_inputs(path: Path, ports: Sequence[Port], recipe: str | None) -> dict[str, Array]:
    """Loads a file as the model's inputs by name, with a leading batch.

    ``.npy`` holds the only input, ``.npz`` one array for each input under its name (or the only input under any name);
    any other file is an image, which needs ``recipe`` and becomes [1, C, H, W] or [1, H, W, C], like the model's own input.
    A float32 input gets the recipe's result. A uint8 or int8 input gets pixels if the recipe keeps them (int8: minus 128),
    even if the host converts them to float; otherwise the recipe's result, quantized with the parameters of the input's
    first DequantizeLinear. Raises ``InputError``, and for an image ``ImageError`` and ``RecipeError``.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name the files in it, such as {path}/*.jpg")
    if path.suffix in (".npy", ".npz"):
        return _load_arrays(path, ports)
    only = _only(path, ports)
    if recipe is None:
        raise InputError(f"{path}: an image needs a preprocessing recipe; add --preprocess NAME (recipe)")
    encode = only.encoding.apply if only.encoding else None
    return {only.name: preprocess(path, recipe, ("N", *only.shape), only.dtype, encode)}


def _load_arrays(path: Path, ports: Sequence[Port]) -> dict[str, Array]:
    try:
        loaded = np.load(path, allow_pickle=False)
        arrays = loaded if isinstance(loaded, np.ndarray) else _members(loaded)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:
        raise InputError(f"{path}: not an array file that numpy can read: {error}") from None
    if isinstance(arrays, np.ndarray):
        return {_only(path, ports).name: arrays}
    if len(arrays) == 1 and len(ports) == 1:
        return {ports[0].name: next(iter(arrays.values()))}
    return arrays


def _members(archive: np.lib.npyio.NpzFile) -> dict[str, Array]:
    with archive:
        return {name: archive[name] for name in archive.files}


def _only(path: Path, ports: Sequence[Port]) -> Port:
    if len(ports) > 1:
        names = ", ".join(port.name for port in ports)
        raise InputError(f"{path}: the model has {len(ports)} inputs ({names}); give an .npz with one array for each")
    return ports[0]
