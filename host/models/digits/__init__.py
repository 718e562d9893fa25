"""A small trained ResNet that recognizes handwritten digits, shipped as int8 ONNX with some held-out images.

`train` makes the files below from scikit-learn's digits, and `evaluate` measures their accuracy; both need the `train`
extra. Images are preprocessed by the recipe `digits`.
"""

from pathlib import Path

_HERE = Path(__file__).parent

MODEL = _HERE / "digits_int8.onnx"
"""The network: QOperator ONNX, uint8 activations, int8 weights per channel; input float32 [N, 1, 8, 8]."""

FLOAT_MODEL = _HERE / "digits_float32.onnx"
"""The same network before quantization."""

LABELS = _HERE / "labels.txt"
"""Class names, one per line, in the order of the network's outputs."""

IMAGES = _HERE / "images"
"""Folder of held-out images, `digit_<class>_<index in the data set>.png`."""
