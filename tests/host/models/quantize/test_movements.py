"""Float networks with unusual splits, shuffles, padding, interpolation and pooling: quantized, exact, near the original."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from exact import assert_exact
from float_networks import CHANNELS, FloatNetwork, images

from arrayloom.host.models.quantize import Calibration, quantize

CALIBRATION = Calibration.from_arrays(images(6))
SQNR_DB = 25.0


def _split(n: FloatNetwork, x: str, sizes: list[int] | None = None, axis: int = 1) -> list[str]:
    names = [f"part_{index}" for index in range(len(sizes) if sizes else 2)]
    inputs = [x, n.constant(np.array(sizes))] if sizes else [x]
    count = {"num_outputs": 2} if n.opset >= 18 else {}
    n.nodes.append(onnx.helper.make_node("Split", inputs, names, "split", axis=axis, **count))
    return names


def _halves(opset: int) -> onnx.ModelProto:
    """As in ShuffleNet: one half passes unchanged, the other through a convolution, and channels are shuffled."""
    n = FloatNetwork(opset)
    first, second = _split(n, n.node("Relu", [n.conv("data")]))
    joined = n.node("Concat", [first, n.node("Relu", [n.conv(second, 3, 3)])], axis=1)
    apart = n.node("Reshape", [joined, n.constant(np.array([0, 2, 3, 12, 12]))])
    moved = n.node("Transpose", [apart], perm=[0, 2, 1, 3, 4])
    return n.classify(n.conv(n.node("Reshape", [moved, n.constant(np.array([0, 6, 12, 12]))])))


def _rows() -> onnx.ModelProto:
    n = FloatNetwork()
    top, bottom = _split(n, n.conv("data"), [4, 8], axis=-2)
    return n.classify(n.conv(n.node("Concat", [bottom, top], axis=2)))


def _pixel_shuffle() -> onnx.ModelProto:
    n = FloatNetwork()
    larger = n.node("DepthToSpace", [n.conv("data", outputs=8)], blocksize=2, mode="CRD")
    return n.classify(n.conv(larger, 2))


def _focus() -> onnx.ModelProto:
    """The stem of YOLOX: every second pixel, in four phases."""
    n = FloatNetwork()
    parts = []
    for top, left in ((0, 0), (1, 0), (0, 1), (1, 1)):
        part = "data"
        for axis, start in ((2, top), (3, left)):
            part = n.node("Slice", [part, *(n.constant(np.array([value])) for value in (start, 2**40, axis, 2))])
        parts.append(part)
    return n.classify(n.conv(n.node("Concat", parts, axis=1), 4 * CHANNELS))


def _resize(mode: str, *factors: float) -> Callable[[], onnx.ModelProto]:
    def build() -> onnx.ModelProto:
        n = FloatNetwork()
        scales = n.constant(np.array([1, 1, *factors], np.float32))
        x = n.node("Relu", [n.conv("data")])
        larger = n.node("Resize", [x, "", scales], mode="linear", coordinate_transformation_mode=mode)
        return n.classify(n.conv(larger))

    return build


def _padded(mode: str) -> Callable[[], onnx.ModelProto]:
    def build() -> onnx.ModelProto:
        n = FloatNetwork()
        padded = n.node("Pad", [n.conv("data"), n.constant(np.array([0, 0, 2, 1, 0, 0, 1, 3]))], mode=mode)
        return n.classify(n.conv(padded, pad=0))

    return build


def _averaged(**attributes: Any) -> Callable[[], onnx.ModelProto]:
    def build() -> onnx.ModelProto:
        n = FloatNetwork()
        attributes.setdefault("kernel_shape", [3, 3])
        pooled = n.node("AveragePool", [n.node("Relu", [n.conv("data")])], ceil_mode=1, count_include_pad=1, **attributes)
        return n.classify(n.conv(pooled))

    return build


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "halves of operator set 13": lambda: _halves(13), "halves of operator set 18": lambda: _halves(18), "rows": _rows,
    "pixel shuffle": _pixel_shuffle, "focus": _focus,
    "twice": _resize("half_pixel", 2, 2), "aligned": _resize("align_corners", 2, 1.5),
    "half": _resize("half_pixel", 0.5, 0.5),
    "edge": _padded("edge"), "reflect": _padded("reflect"),
    "average": _averaged(strides=[2, 2]), "average of the padded": _averaged(strides=[2, 2], pads=[1, 1, 0, 0]),
    "average of unlike axes": _averaged(kernel_shape=[2, 3], strides=[5, 7], pads=[0, 1, 0, 2]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_run_on_the_accelerator(name: str) -> None:
    quantized = quantize(NETWORKS[name](), CALIBRATION)
    assert_exact(quantized.model, images(2, seed=11))
    assert quantized.layers[0].sqnr_db > SQNR_DB, quantized.layers[0]

