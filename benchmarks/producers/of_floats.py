"""The command line of the scripts that quantize ONNX models, and the reader of their calibration."""

import argparse
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx


class Reader:
    """Returns the inputs of a network one by one, batch 1, when ONNX Runtime requests them."""

    def __init__(self, model: onnx.ModelProto, data: dict[str, np.ndarray]) -> None:
        held = {tensor.name for tensor in model.graph.initializer}
        names = [value.name for value in model.graph.input if value.name not in held]
        self.arrays = dict(zip(names, data.values(), strict=True))
        self.next = 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input, or None at the end."""
        self.next += 1
        if self.next > len(next(iter(self.arrays.values()))):
            return None
        return {name: array[self.next - 1 : self.next] for name, array in self.arrays.items()}

    def rewind(self) -> None:
        """Begin again."""
        self.next = 0


def inputs_of(source: Path) -> dict[str, np.ndarray]:
    """The inputs stored next to a float network."""
    with np.load(source.with_name(source.stem.removesuffix("_ts") + ".npz")) as arrays:
        return dict(arrays)


def run(description: str | None, write: Callable[[Path, Path, Reader], None]) -> None:
    """Quantize every network of a folder, or those named by --only; refused networks are reported and skipped."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("floats", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="networks to quantize instead of all")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    for source in sorted(given.floats.glob("*.onnx")):
        if given.only and source.stem not in given.only:
            continue
        try:
            write(source, given.folder, Reader(onnx.load(source), inputs_of(source)))
        except Exception as error:  # any failure of the producer only skips the network
            print(f"{source.stem}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}", flush=True)
        else:
            print(source.stem, flush=True)
