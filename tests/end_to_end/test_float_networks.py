"""Small float networks of common shapes, quantized by ONNX Runtime, every tensor on the device equal to ONNX Runtime's."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from float_networks import FloatNetwork, images
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from verification import assert_exact

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Conv, Lookup, Mul
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.reference import Reference
from arrayloom.isa.config import PRESETS

CHANNELS = 6


class _Images(CalibrationDataReader):
    """Sixteen images, one at a time."""

    def __init__(self) -> None:
        self.left: Iterator[np.ndarray] = iter(images(16))

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self.left, None)
        return None if image is None else {"data": image[np.newaxis]}


def _expand(n: FloatNetwork, x: str, stride: int, activation: Callable[[str], str]) -> str:
    """An inverted residual block: wide, depthwise, narrow."""
    wide = activation(n.conv(x, CHANNELS, 4 * CHANNELS, 1, 0))
    deep = activation(n.conv(wide, 4 * CHANNELS, 4 * CHANNELS, group=4 * CHANNELS, strides=[stride, stride]))
    narrow = n.conv(deep, 4 * CHANNELS, CHANNELS, 1, 0)
    return n.node("Add", [x, narrow]) if stride == 1 else narrow


def mobilenet_v2() -> onnx.ModelProto:
    """Inverted residuals with ReLU6."""
    n = FloatNetwork()

    def relu6(x: str) -> str:
        return n.node("Clip", [x, n.constant(np.float32(0)), n.constant(np.float32(6))])

    x = relu6(n.conv("data", strides=[2, 2]))
    return n.classify(_expand(n, _expand(n, x, 1, relu6), 2, relu6))


def mobilenet_v3() -> onnx.ModelProto:
    """Hard swish, and a squeeze-and-excite gate with a hard sigmoid."""
    n = FloatNetwork(opset=14)

    def swish(x: str) -> str:
        return n.node("HardSwish", [x])

    x = _expand(n, swish(n.conv("data")), 1, swish)
    squeezed = n.node("Relu", [n.conv(n.node("GlobalAveragePool", [x]), CHANNELS, 3, 1, 0)])
    gate = n.node("HardSigmoid", [n.conv(squeezed, 3, CHANNELS, 1, 0)], alpha=1 / 6, beta=0.5)
    return n.classify(_expand(n, n.node("Mul", [x, gate]), 2, swish))


def unet(upsample: str) -> onnx.ModelProto:
    """Downsampling twice, upsampling twice with skips; a class per pixel."""
    n = FloatNetwork()

    def block(x: str, inputs: int, outputs: int) -> str:
        return n.node("Relu", [n.conv(x, inputs, outputs)])

    def up(x: str, channels: int) -> str:
        if upsample == "resize":
            return n.node("Resize", [x, "", n.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest")
        weight, bias = n.weights(channels, channels, 2, 2), n.offsets(channels)
        return n.node("ConvTranspose", [x, weight, bias], kernel_shape=[2, 2], strides=[2, 2])

    first = block("data", CHANNELS, 8)
    second = block(n.node("MaxPool", [first], kernel_shape=[2, 2], strides=[2, 2]), 8, 12)
    third = block(n.node("MaxPool", [second], kernel_shape=[2, 2], strides=[2, 2]), 12, 16)
    joined = block(n.node("Concat", [up(third, 16), second], axis=1), 28, 12)
    joined = block(n.node("Concat", [up(joined, 12), first], axis=1), 20, 8)
    return n.finish(n.conv(joined, 8, 3, 1, 0))


def leaky() -> onnx.ModelProto:
    """As in detectors: LeakyRelu and Sigmoid, grouped and dilated convolutions, a mean over rows and columns."""
    n = FloatNetwork()
    x = n.node("LeakyRelu", [n.conv("data", group=2)], alpha=0.1)
    x = n.node("Mul", [x, n.node("Sigmoid", [n.conv(x, pad=2, dilations=[2, 2])])])
    mean = n.node("ReduceMean", [x], axes=[2, 3], keepdims=0)
    return n.finish(n.node("Gemm", [mean, n.weights(10, CHANNELS), n.offsets(10)], transB=1))


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "MobileNetV2": mobilenet_v2,
    "MobileNetV3": mobilenet_v3,
    "U-Net, resized": lambda: unet("resize"),
    "U-Net, transposed convolutions": lambda: unet("transpose"),
    "leaky": leaky,
}


def _quantized(name: str, folder: Path) -> onnx.ModelProto:
    source, target = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(NETWORKS[name](), source)
    quantize_static(source, target, _Images(), quant_format=QuantFormat.QDQ, per_channel=False,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return onnx.load(target)


@pytest.mark.parametrize("config", ["tiny", "16x16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_quantized_networks_on_the_emulator(name: str, config: str, tmp_path: Path) -> None:
    model = _quantized(name, tmp_path)
    image = images(1, seed=11)
    _, verdict = assert_exact(model, config, inputs={"data": image})
    wanted = Reference(NETWORKS[name]()).run({"data": image})
    for result, expected in zip(verdict.outputs.values(), wanted.values(), strict=True):
        assert np.abs(result - expected).max() < 0.15 * np.abs(expected).max(), "int8 is far from float"


@pytest.fixture(scope="module")
def rtl() -> Iterable[Device]:
    device = open_device("rtl", PRESETS["tiny"])
    yield device
    device.close()


@pytest.mark.parametrize("name", NETWORKS)
def test_quantized_networks_on_the_rtl(name: str, rtl: Device, tmp_path: Path) -> None:
    assert_exact(_quantized(name, tmp_path), "tiny", rtl, {"data": images(1, seed=11)})


def test_a_transposed_convolution_becomes_one_convolution(tmp_path: Path) -> None:
    graph = import_model(_quantized("U-Net, transposed convolutions", tmp_path)).graph
    assert sum(isinstance(op, Conv) for op in graph.ops) == 8


def test_a_gate_is_one_product_and_its_sigmoid_a_table(tmp_path: Path) -> None:
    graph = import_model(_quantized("MobileNetV3", tmp_path)).graph
    assert sum(isinstance(op, Mul) for op in graph.ops) == 1
    assert sum(isinstance(op, Lookup) for op in graph.ops) >= 1


def _normalized() -> onnx.ModelProto:
    """L2 normalization over the channels in integers.

    Squares by lookup table, their sum by a 1x1 convolution, the reciprocal root by lookup table, a product broadcast over
    the channels, and a gain per channel.
    """
    n = FloatNetwork()
    channels, scale = 16, 0.05
    squares = n.quantize(n.node("Mul", [n.dequantize("x", scale, 0), n.dequantize("x", scale, 0)]), 0.64, 0)
    weight = n.constant(np.ones((1, channels, 1, 1), np.int8))
    pair = [n.constant(np.float32(0.64)), n.constant(np.uint8(0))]
    one = [n.constant(np.float32(1)), n.constant(np.int8(0))]
    made = [n.constant(np.float32(7)), n.constant(np.uint8(0))]
    total = n.node("QLinearConv", [squares, *pair, weight, *one, *made], output="total")
    root = n.node("Sqrt", [n.node("Add", [n.dequantize(total, 7, 0), n.constant(np.float32(1e-6))])])
    inverse = n.quantize(n.node("Reciprocal", [root]), 0.002, 0)
    operands = ["x", n.constant(np.float32(scale)), n.constant(np.uint8(0)), inverse, n.constant(np.float32(0.002)),
                n.constant(np.uint8(0)), n.constant(np.float32(1 / 255)), n.constant(np.uint8(0))]
    gain = n.node("Mul", [n.dequantize(n.node("QLinearMul", operands), 1 / 255, 0), n.factors(channels, 1, 1)])
    n.quantize(gain, 1.5 / 255, 0, output="y")
    return n.model({"x": (np.uint8, ["N", channels, 9, 11])}, ["y"])


@pytest.mark.parametrize("config", ["tiny", "16x16"])
def test_normalization_over_the_channels_in_integers(config: str) -> None:
    x = np.random.default_rng(5).integers(0, 256, (1, 16, 9, 11)).astype(np.uint8)
    model = _normalized()
    _, verdict = assert_exact(model, config, inputs={"x": x})
    constants = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    gain = next(value for value in constants if value.shape == (16, 1, 1))
    wanted = gain * x[0] / np.sqrt((x[0].astype(np.float64) ** 2).sum(axis=0))
    assert np.abs(verdict.outputs["y"][0] * 1.5 / 255 - wanted).max() < 0.03
