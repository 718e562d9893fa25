"""The classes of calibration images."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.quantize.archive import Archive
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.errors import QuantizeError


def load_classes(path: Path, calibration: Calibration) -> list[int]:
    """The class index of each image, in the images' order.

    The file holds one class an image: a text with lines `CLASS`, or `IMAGE CLASS` where IMAGE is the end of an image's
    path; an .npy of integers [N]; or an .npz with one such array.

    Raises:
        QuantizeError: the file cannot be read, or does not give one class to each image.
    """
    if path.suffix in (".npy", ".npz"):
        return _counted(path, _from_array(path), calibration)
    try:
        lines = [line.replace(",", " ").split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise QuantizeError(f"{path}: labels cannot be read: {error}") from None
    if any(len(words) > 1 for words in lines):
        return _by_name(path, lines, calibration)
    return _counted(path, [_index(path, number, words[0]) for number, words in enumerate(lines, start=1)], calibration)


def _by_name(path: Path, lines: list[list[str]], calibration: Calibration) -> list[int]:
    given = {" ".join(words[:-1]): _index(path, number, words[-1]) for number, words in enumerate(lines, start=1)}
    classes = []
    for name in calibration.names:
        parts = Path(name).parts
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        found = [given[end] for end in ends if end in given]
        if not found:
            raise QuantizeError(f"{path}: has no label for {name}; add a line '{Path(name).name} CLASS'")
        classes.append(found[0])
    return classes


def _from_array(path: Path) -> list[int]:
    values: NDArray[Any]
    if path.suffix == ".npz":
        archive = Archive(path)
        found = [m for m in archive.members if len(m.shape) == 1 and np.issubdtype(m.dtype, np.integer)]
        if len(found) != 1:
            raise QuantizeError(f"{archive}, but labels are one array of integers [N]; leave the others out")
        values = np.array(list(archive.rows(found[0])))
    else:
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise QuantizeError(f"{path}: labels cannot be read: {error}") from None
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise QuantizeError(f"{path}: holds {values.dtype} {list(values.shape)}; labels are integers [N], one an image")
    if values.size and values.min() < 0:
        raise QuantizeError(f"{path}: label {values.min()} is negative; classes count from 0")
    return [int(value) for value in values]


def _index(path: Path, number: int, word: str) -> int:
    if not word.isdecimal():
        raise QuantizeError(f"{path}, line {number}: '{word}' is no class index; give a number from 0")
    return int(word)


def _counted(path: Path, classes: list[int], calibration: Calibration) -> list[int]:
    if len(classes) != len(calibration):
        raise QuantizeError(f"{path}: holds {len(classes)} labels for {len(calibration)} images; give one an image, in the "
                            "order of their paths")
    return classes
