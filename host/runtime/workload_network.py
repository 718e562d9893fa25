"""A network with random weights that keeps every unit of an accelerator as busy as a residual network does.

Simulators are optimized for it (workload.py). Its widths are multiples of the array's size, so it takes about the same
number of cycles on any accelerator.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from arrayloom.isa.config import Config

SEED = 1
INPUT = "image"
LARGEST_SIDE = 28       # of the first layer's result, in pixels
WORDS_A_PIXEL = 20      # scratchpad words for every pixel of that result: more than the widest block takes
IMAGE_CHANNELS = 3
CLASSES = 10
WEIGHT_DEVIATION = 73   # of uniformly distributed int8 weights
SUM_SCALE, PRODUCT_SCALE = 1.5, 128     # of two activations
OPSET, IR_VERSION = 13, 8

_MICROSOFT = "com.microsoft"


def workload_network(config: Config) -> onnx.ModelProto:
    """The network for that accelerator: ``image`` uint8 [1, 3, H, W], the same in every call.

    A stem on an image, residual blocks with 1x1, 3x3 and strided convolutions, a pool; then, for fewer cycles, parts of
    other networks: a depthwise convolution, a lookup table, a product of activations, layers with many weights, a
    classifier.
    """
    net = _Writer()
    narrow, wide = 2 * config.size, 4 * config.size
    side = max(2, min(LARGEST_SIDE, math.isqrt(config.activation_words // WORDS_A_PIXEL)))
    x = net.conv(INPUT, IMAGE_CHANNELS, narrow, 7, stride=2)
    x = net.add(x, net.conv(net.conv(x, narrow, narrow, 3), narrow, narrow, 3))
    inner = net.conv(net.conv(x, narrow, narrow, 1), narrow, narrow, 3)
    x = net.add(net.conv(x, narrow, wide, 1), net.conv(inner, narrow, wide, 1))
    x = net.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.conv(net.conv(x, wide, wide, 3), wide, wide, 3, stride=2)
    x = net.multiply(x, net.sigmoid(x))
    x = net.conv(x, wide, wide, 3, groups=wide)
    x = net.conv(net.conv(x, wide, 4 * wide, 1), 4 * wide, wide, 1)
    return net.model(net.classify(net.average(x), wide), 2 * side)


class _Writer:
    """Nodes with their constants; every activation is uint8 with scale 1 and zero point 0."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._unit = [self._constant(np.float32(1)), self._constant(np.uint8(0))]

    def node(self, operator: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, domain=domain, **attributes))
        return name

    def conv(self, x: str, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        weights = self._weights((filters, channels // groups, kernel, kernel))
        return self.node("QLinearConv", [x, *self._unit, *weights, *self._unit, self._bias(filters)], group=groups,
                         strides=[stride] * 2, pads=[kernel // 2] * 4)

    def add(self, left: str, right: str) -> str:
        return self._pair("QLinearAdd", left, right, SUM_SCALE)

    def multiply(self, left: str, right: str) -> str:
        return self._pair("QLinearMul", left, right, PRODUCT_SCALE)

    def sigmoid(self, x: str) -> str:
        scale = self._constant(np.float32(1 / 32))
        result = [self._constant(np.float32(1 / 256)), self._unit[1]]
        return self.node("QLinearSigmoid", [x, scale, self._unit[1], *result], _MICROSOFT)

    def average(self, x: str) -> str:
        return self.node("QLinearGlobalAveragePool", [x, *self._unit, *self._unit], _MICROSOFT, channels_last=0)

    def classify(self, x: str, channels: int) -> str:
        flat = self.node("Flatten", [x])
        weights = self._weights((CLASSES, channels))
        return self.node("QGemm", [flat, *self._unit, *weights, self._bias(CLASSES), *self._unit], _MICROSOFT, transB=1)

    def model(self, output: str, side: int) -> onnx.ModelProto:
        kind = onnx.TensorProto.UINT8
        image = helper.make_tensor_value_info(INPUT, kind, [1, IMAGE_CHANNELS, side, side])
        result = helper.make_tensor_value_info(output, kind, [1, CLASSES])
        graph = helper.make_graph(self._nodes, "workload", [image], [result], self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _pair(self, operator: str, left: str, right: str, scale: float) -> str:
        result = [self._constant(np.float32(scale)), self._unit[1]]
        return self.node(operator, [left, *self._unit, right, *self._unit, *result], _MICROSOFT)

    def _weights(self, shape: tuple[int, ...]) -> list[str]:
        """Weights, a scale that gives results the spread of the activations, and the zero point."""
        values = self._random.integers(-127, 128, shape, np.int8)
        scale = np.float32(1 / (WEIGHT_DEVIATION * math.sqrt(math.prod(shape[1:]))))
        return [self._constant(values), self._constant(scale), self._constant(np.int8(0))]

    def _bias(self, count: int) -> str:
        return self._constant(self._random.integers(-1000, 1001, count, np.int32))

    def _constant(self, value: NDArray[Any] | np.generic) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name
