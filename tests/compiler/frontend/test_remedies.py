"""Every remedy works: with it applied, the same network is accepted and equals ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from interpreter import interpret
from networks import Network
from verification import random_values

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.compiler.frontend.known import unknown_nodes
from arrayloom.compiler.frontend.remedies import not_supported
from arrayloom.host.runtime.reference import Reference

BYTES = (np.uint8, ["N", 4, 6, 6])
ALONE = ImportOptions(HostPolicy.NONE)  # without a head or tail on the host, which could compute the refused nodes

#: Builds a network: the refused one, or the one with the remedy applied.
Build = Callable[[Network, bool], None]


def _x(net: Network) -> str:
    return net.dequantize("x", 0.5, 3)


def _weight(net: Network, axis: int | None = None) -> str:
    shape = (2, 4, 1, 1)
    count = () if axis is None else (shape[axis],)
    values = np.arange(8).reshape(shape).astype(np.int8)
    parameters = [net.constant(np.full(count, 0.25, np.float32)), net.constant(np.zeros(count, np.int8))]
    return net.node("DequantizeLinear", [net.constant(values), *parameters], **({} if axis is None else {"axis": axis}))


def _end(net: Network, value: str) -> None:
    net.quantize(value, 0.5, 3, output="y")


def _axis(net: Network, followed: bool) -> None:
    _end(net, net.node("Conv", [_x(net), _weight(net, 0 if followed else 1)], "conv"))


def _float_weights(net: Network, followed: bool) -> None:
    floats = np.ones((2, 4, 1, 1), np.float32)
    _end(net, net.node("Conv", [_x(net), _weight(net) if followed else net.constant(floats)], "conv"))


def _bias_scale(net: Network, followed: bool) -> None:
    scale = np.float32(0.125 if followed else 0.7)
    bias = net.node("DequantizeLinear", [net.constant(np.arange(2, dtype=np.int32)), net.constant(scale)])
    _end(net, net.node("Conv", [_x(net), _weight(net), bias], "conv"))


def _bias_zero_point(net: Network, followed: bool) -> None:
    parameters = [net.constant(np.float32(0.125)), net.constant(np.int32(0 if followed else 3))]
    bias = net.node("DequantizeLinear", [net.constant(np.arange(2, dtype=np.int32)), *parameters])
    _end(net, net.node("Conv", [_x(net), _weight(net), bias], "conv"))


def _scale(net: Network, followed: bool) -> None:
    real = net.dequantize("x", 0.5 if followed else 0.0, 3)
    _end(net, net.node("Relu", [real], "relu"))


def _old_clip(net: Network, followed: bool) -> None:
    net.opset = 12 if followed else 11
    _end(net, net.node("Relu", [net.node("Conv", [_x(net), _weight(net)], "conv")]))


def _old_pool(net: Network, followed: bool) -> None:
    net.opset = 12 if followed else 11
    _end(net, net.node("MaxPool", [_x(net)], "pool", kernel_shape=[2, 2]))


def _beta(net: Network, followed: bool) -> None:
    weight = net.dequantize(net.constant(np.ones((144, 3), np.int8)), 0.25, 0, np.int8)
    bias = net.constant(np.full(3, 2.0, np.float32))
    _end(net, net.node("Gemm", [net.node("Flatten", [_x(net)]), weight, bias], "gemm", beta=1.0 if followed else 2.0))


def _average(net: Network, followed: bool) -> None:
    net.opset = 19
    _end(net, net.node("AveragePool", [_x(net)], "pool", kernel_shape=[2, 2], dilations=[1, 1] if followed else [2, 2]))


def _padding(net: Network, followed: bool) -> None:
    amounts = net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    padded = net.node("Pad", [_x(net), amounts, net.constant(np.float32(0.5 if followed else 0.3))], "pad")
    _end(net, net.node("Conv", [padded, _weight(net)], "conv"))


def _skipping(net: Network, followed: bool) -> None:
    where: dict[str, Any] = {"pads": [0, 0, 0, 0]} if followed else {"auto_pad": "SAME_UPPER"}
    net.node("MaxPool", ["x"], "y", kernel_shape=[1, 1], strides=[6, 6], **where)


def _empty_windows(net: Network, followed: bool) -> None:
    net.node("MaxPool", ["x"], "y", kernel_shape=[2, 2], dilations=[7, 7] if not followed else [1, 1], pads=[1, 1, 1, 1])


def _channels_last(net: Network, followed: bool) -> None:
    parameters = [net.constant(np.float32(0.5)), net.constant(np.uint8(3))]
    net.node("QLinearAveragePool", ["x", *parameters, *parameters], "y", kernel_shape=[2, 2],
             channels_last=0 if followed else 1)


def _bounds(net: Network, followed: bool) -> None:
    net.node("Clip", ["x", net.constant(np.uint8(3 if followed else 9)), net.constant(np.uint8(8))], "y")


TABLE: list[tuple[Build, str, str, str]] = [
    # build, node, reason, remedy
    (_axis, "Conv_conv", "axis = 1: its weights are quantized along axis 1", "along axis 0, the output channels"),
    (_float_weights, "Conv_conv", "are float", "quantize the weights too"),
    (_bias_scale, "Conv_conv", "its bias has scale 0.69", "quantize the bias with x_scale * w_scale"),
    (_bias_zero_point, "Conv_conv", "its bias has a zero point", "with zero point 0"),
    (_scale, "QuantizeLinear_y", "a scale is zero, negative or not finite", "calibrate again"),
    (_old_clip, "Conv_conv", "operator set 11 has no Clip of integers", "convert the model to operator set 12"),
    (_old_pool, "MaxPool_pool", "operator set 11 has no MaxPool of integers", "convert the model to operator set 12"),
    (_beta, "Gemm_gemm", "beta = 2.0: its bias is scaled", "fold beta into the bias"),
    (_average, "AveragePool_pool", "dilations = [2, 2]: ONNX Runtime has no quantized average", "use dilation 1"),
    (_padding, "Conv_conv", "the padding value lies between two steps", "pad with 0.5"),
    (_skipping, "MaxPool_y", "auto_pad = SAME_UPPER: its windows skip rows", "give explicit pads"),
    (_empty_windows, "MaxPool_y", "a window lies wholly in the padding", "use less padding"),
    (_channels_last, "QLinearAveragePool_y", "channels_last = 1: its layout has the channels last", "use [N, C, H, W]"),
    (_bounds, "Clip_y", "9 > 8: its lower bound is above its upper one", "fix the bounds"),
]


def _model(build: Build, followed: bool) -> onnx.ModelProto:
    net = Network()
    build(net, followed)
    return net.model({"x": BYTES}, ["y"])


@pytest.mark.parametrize(("build", "node", "reason", "remedy"), TABLE, ids=[row[0].__name__ for row in TABLE])
def test_a_remedy_helps(build: Build, node: str, reason: str, remedy: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        import_model(_model(build, False), ALONE)
    (entry,) = (found.to_json() for found in caught.value.nodes)
    assert set(entry) == {"node", "op", "reason", "remedy"}
    assert (entry["node"], entry["op"]) == (node, node.partition("_")[0] if "QLinear" not in node else entry["op"])
    assert reason in entry["reason"]
    assert remedy in entry["remedy"]

    imported = import_model(_model(build, True), ALONE)
    inputs = random_values(imported.graph)
    values, expected = interpret(imported.graph, inputs), Reference(imported.lowered).run_all(inputs)
    shared = values.keys() & expected.keys()
    assert shared
    assert all(np.array_equal(values[name].ravel(), expected[name].ravel()) for name in shared)


@pytest.mark.parametrize(("operator", "remedy"), [
    ("Softmax", "move it to the end of the network, where the host computes it"),
    ("TopK", "cut the network before it and leave it to the host")])
def test_the_remedy_at_the_end_is_not_to_move_there(operator: str, remedy: str) -> None:
    node = onnx.helper.make_node(operator, ["a"], ["b"])
    inside, at_the_end = (not_supported(node, at_the_end=end).remedy for end in (False, True))
    assert inside == remedy
    assert at_the_end == "leave it out: cut the network before it, and compute it from the outputs"


def test_a_layer_after_an_operator_is_seen() -> None:
    nodes = [onnx.helper.make_node("TopK", ["x", "k"], ["a", "i"], "middle"),
             onnx.helper.make_node("Conv", ["a", "w"], ["b"]),
             onnx.helper.make_node("TopK", ["b", "k"], ["y", "j"], "last")]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], []))
    found = {entry.node: entry.remedy for entry in unknown_nodes(model)}
    assert found == {"middle": "cut the network before it and leave it to the host",
                     "last": "leave it out: cut the network before it, and compute it from the outputs"}
