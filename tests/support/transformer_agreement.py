"""How far results of a quantized model are apart, in steps of its output: ``python -m transformer_agreement MODEL.onnx``.

Three are compared: the integer graph that the accelerator equals byte for byte, the model as given in ONNX Runtime, and the
same without ONNX Runtime's optimizations.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.runtime import Session

SEED = 5


def steps_apart(model: onnx.ModelProto, images: NDArray[np.float32]) -> dict[str, list[int]]:
    """For each pair of results, the largest difference of the only output for each image, in its steps."""
    imported = import_model(model, ImportOptions(attention=True))
    port, output = imported.graph.model_inputs[0], imported.graph.outputs[0]
    sessions = {"integers": Session(imported.lowered), "ONNX Runtime": Session(imported.original),
                "ONNX Runtime unoptimized": Session(imported.original, optimize=False)}
    name, scale = imported.graph.model_outputs[0].name, np.float64(output.tail[0].scale)
    found: dict[str, list[int]] = {}
    for image in images:
        results = {key: session.run({port.name: image[np.newaxis]})[name] for key, session in sessions.items()}
        for first, second in combinations(results, 2):
            apart = np.rint(np.abs(results[first] - results[second]).max() / scale)
            found.setdefault(f"{first} - {second}", []).append(int(apart))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=int, default=20, help="random ones (default %(default)s)")
    options = parser.parse_args()
    model = onnx.load(options.model)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    images = np.random.default_rng(SEED).normal(size=(options.images, *shape)).astype(np.float32)
    for pair, steps in steps_apart(model, images).items():
        counts = ", ".join(f"{count} x {apart}" for apart, count in enumerate(np.bincount(steps)) if count)
        print(f"{pair:40} images x steps: {counts}")


if __name__ == "__main__":
    main()
