"""Pad in every mode, with positive and negative amounts, before a convolution, in QDQ and on integers."""

from typing import Any

import numpy as np
import onnx
import pytest
from exact_graph import check
from networks import Network

from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Conv, Move

SHAPE = (3, 6, 5)
AMOUNTS = [[2, 1, 1, 3], [0, 2, 0, 0], [-1, 0, 2, -2], [-1, -1, -1, -1]]


def _convolved(net: Network, x: str) -> str:
    """DequantizeLinear of a weight, Conv, QuantizeLinear."""
    weight = np.random.default_rng(0).integers(-90, 90, (4, 3, 3, 3)).astype(np.int8)
    parameters = [net.constant(np.float32(0.01)), net.constant(np.int8(0))]
    real = net.node("DequantizeLinear", [net.constant(weight), *parameters])
    return net.quantize(net.node("Conv", [x, real]), 0.1, 100)


def _model(mode: str, amounts: list[int], quantized: bool, dtype: Any = np.uint8) -> onnx.ModelProto:
    net = Network(opset=19)
    top, left, bottom, right = amounts
    pads = net.constant(np.array([0, 0, top, left, 0, 0, bottom, right]))
    if quantized:
        padded = net.dequantize(net.node("Pad", ["x", pads], mode=mode), 0.05, 4, dtype)
    else:
        padded = net.node("Pad", [net.dequantize("x", 0.05, 4, dtype), pads], mode=mode)
    y = _convolved(net, padded)
    return net.model({"x": (dtype, ["N", *SHAPE])}, [y])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
@pytest.mark.parametrize("amounts", AMOUNTS)
@pytest.mark.parametrize("quantized", [False, True])
def test_before_a_convolution(mode: str, amounts: list[int], quantized: bool) -> None:
    graph = check(import_model(_model(mode, amounts, quantized)))
    assert [type(op) for op in graph.ops] == [Move, Conv]


def test_of_channels() -> None:
    net = Network(opset=19)
    padded = net.node("Pad", ["x", net.constant(np.array([0, 2, 0, 0, 0, 1, 0, 0]))], mode="reflect")
    net.node("MaxPool", [padded], "y", kernel_shape=[2, 2])
    graph = check(import_model(net.model({"x": (np.int8, ["N", *SHAPE])}, ["y"])))
    move = graph.ops[0]
    assert isinstance(move, Move)
    assert move.channels.tolist() == [2, 1, 0, 1, 2, 1]


def test_a_slice_that_holds_padding_only() -> None:
    net = Network(opset=19)
    padded = net.node("Pad", ["x", net.constant(np.array([0, 0, 4, 0, 0, 0, 0, 0])), net.constant(np.uint8(9))])
    bounds = [net.constant(np.array([value])) for value in (1, 3, 2)]
    net.node("MaxPool", [net.node("Slice", [padded, *bounds])], "y", kernel_shape=[2, 2])
    graph = check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y"])))
    assert [op.fill for op in graph.ops if isinstance(op, Move)] == [9]


def test_islands_of_several_modes() -> None:
    """An activation between a Pad with a constant and a Pad that repeats the border."""
    net = Network(opset=19)
    amounts = [net.constant(np.array([0, 0, 1, 0, 0, 0, 1, 2])) for _ in range(2)]
    outer = net.node("Pad", [net.dequantize("x", 0.05, 4), amounts[0], net.constant(np.float32(0.5))])
    inner = net.node("Pad", [net.node("HardSwish", [outer]), amounts[1]], mode="edge")
    net.quantize(inner, 0.04, 9, output="y")
    check(import_model(net.model({"x": (np.uint8, ["N", *SHAPE])}, ["y"])))
