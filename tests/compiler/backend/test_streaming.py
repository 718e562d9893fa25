"""Networks whose tensors do not fit on chip, with 64 KiB of scratchpad and less."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from concurrency import find_race, find_stall
from networks import Network
from verification import assert_exact

from arrayloom.isa.config import load_config
from arrayloom.isa.instructions import Convolve, LoadActivations, Store

SMALL = {name: replace(load_config(name), name=f"{name}, 64 KiB", activation_bytes=65536) for name in ("16x16", "32x32")}
CRAMPED = replace(load_config("tiny"), name="cramped", activation_bytes=2048, weight_words=32, parameter_entries=256)
PARAMETERS = (0.02, 100)


def _pair(net: Network, scale: float, zero: int, dtype: type = np.uint8) -> list[str]:
    return [net.constant(np.float32(scale)), net.constant(np.array(zero, dtype))]


def _convolution(net: Network, x: str, inputs: int, outputs: int, kernel: int = 3) -> str:
    rng = np.random.default_rng(inputs)
    weight = net.constant(rng.integers(-127, 128, (outputs, inputs, kernel, kernel)).astype(np.int8))
    scale = 1 / (74 * np.sqrt(inputs * kernel * kernel))
    operands = [x, *_pair(net, *PARAMETERS), weight, *_pair(net, scale, 0, np.int8), *_pair(net, *PARAMETERS)]
    return net.node("QLinearConv", operands, pads=[kernel // 2] * 4)


def _classifier(net: Network, x: str, elements: int) -> str:
    weight = net.constant(np.random.default_rng(1).integers(-127, 128, (elements, 10)).astype(np.int8))
    scales = _pair(net, 1 / (74 * np.sqrt(elements)), 0, np.int8)
    return net.node("QGemm", [net.node("Flatten", [x]), *_pair(net, *PARAMETERS), weight, *scales, "",
                              *_pair(net, *PARAMETERS)])


def _vgg(net: Network, x: str) -> str:
    """The beginning of VGG-16: rows of 64 channels, then half as many rows with twice the channels."""
    x = _convolution(net, _convolution(net, x, 3, 64), 64, 64)
    pooled = net.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    return _convolution(net, pooled, 64, 128)


def _skip(net: Network, x: str) -> str:
    """A residual block, then a resize."""
    x = _convolution(net, x, 3, 64)
    y = _convolution(net, x, 64, 64)
    total = net.node("QLinearAdd", [x, *_pair(net, *PARAMETERS), y, *_pair(net, *PARAMETERS), *_pair(net, 0.03, 90)])
    larger = net.node("Resize", [total, "", net.constant(np.array([1, 1, 2, 2], np.float32))], mode="nearest")
    return _convolution(net, larger, 64, 8, 1)


def _model(result: str, net: Network, shape: tuple[int, int, int]) -> onnx.ModelProto:
    return net.model({"x": (np.uint8, ["N", *shape])}, [result])


def _network(kind: str) -> onnx.ModelProto:
    net = Network(opset=17)
    if kind == "vgg":
        return _model(_vgg(net, "x"), net, (3, 30, 224))
    if kind == "skip":
        return _model(_skip(net, "x"), net, (3, 20, 112))
    if kind == "wide":
        return _model(_convolution(net, _convolution(net, "x", 3, 64), 64, 64), net, (3, 8, 300))
    return _model(_classifier(net, _convolution(net, "x", 3, 64, 1), 64 * 40 * 40), net, (3, 40, 40))


@pytest.mark.parametrize("config", SMALL)
@pytest.mark.parametrize("kind", ["vgg", "skip", "wide", "classifier"])
def test_nothing_depends_on_a_tensor_fitting_on_chip(kind: str, config: str) -> None:
    program, _ = assert_exact(_network(kind), SMALL[config])
    assert sum(isinstance(i, Store) for i in program) > len(program.outputs)


def _tiny_network() -> onnx.ModelProto:
    """With 2 KiB, neither a row of the second convolution nor the classifier's image fits."""
    net = Network(opset=17)
    x = _convolution(net, _convolution(net, "x", 3, 16), 16, 16)
    return _model(_classifier(net, x, 16 * 6 * 30), net, (3, 6, 30))


def test_a_source_streams_where_not_even_a_row_fits() -> None:
    program, _ = assert_exact(_tiny_network(), CRAMPED)
    partial = [i for i in program if isinstance(i, Convolve) and not (i.first and i.last)]
    assert partial
    assert sum(isinstance(i, LoadActivations) for i in program) > len(partial)
    assert find_stall(program, CRAMPED) is None
    assert [find_race(program, CRAMPED, speeds) for speeds in range(4)] == [None] * 4


@pytest.mark.slow
@pytest.mark.parametrize("config", SMALL)
def test_vgg_at_full_size(config: str) -> None:
    net = Network(opset=17)
    assert_exact(_model(_vgg(net, "x"), net, (3, 224, 224)), SMALL[config])
