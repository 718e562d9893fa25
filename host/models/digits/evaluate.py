"""Measure the shipped digits network on the held-out images: `python -m arrayloom.host.models.digits.evaluate`."""

from pathlib import Path

import numpy as np
import onnxruntime

from arrayloom.host.models.digits import FLOAT_MODEL, MODEL
from arrayloom.host.models.digits.data import Split, load_splits


def correct(model: Path, images: Split) -> int:
    """Return how many of `images` the ONNX model classifies correctly in ONNX Runtime."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: images.inputs})
    return int(np.count_nonzero(np.asarray(logits).argmax(axis=1) == images.labels))


def main() -> None:
    """Print the accuracies of the float and of the int8 model."""
    _, held_out = load_splits()
    count = len(held_out.labels)
    for kind, model in (("float", FLOAT_MODEL), ("int8", MODEL)):
        right = correct(model, held_out)
        print(f"{kind:5}: {100 * right / count:.2f} % ({right} of {count} held-out images)")


if __name__ == "__main__":
    main()
