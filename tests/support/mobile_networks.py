"""MobileNetV2 and EfficientNet-B0 as int8 networks with random weights: ``python -m mobile_networks NAME FILE``.

Cycles do not depend on the values of weights; random ones make every tensor use its whole range of values.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

SEED, OPSET, IR_VERSION = 1, 13, 8
INPUT = "image"
CLASSES = 1000
SPREAD = 73     # standard deviation of uniformly distributed int8 weights, and roughly that of activations
MIDDLE = 128    # zero point of tensors that may be negative
DIVISOR = 8     # numbers of channels are multiples of this

_MICROSOFT = "com.microsoft"

# Expansion, kernel, stride, channels, blocks.
MOBILENET_V2 = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 3, 2, 32, 3), (6, 3, 2, 64, 4), (6, 3, 1, 96, 3), (6, 3, 2, 160, 3),
                (6, 3, 1, 320, 1))
EFFICIENTNET_B0 = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                   (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))


class Network:
    """A QLinear network under construction; every activation has scale 1, and sums are scaled to fill a byte."""

    def __init__(self, silu: bool, seed: int = SEED) -> None:
        self.silu = silu
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._one = self._constant(np.float32(1))
        self._zeros = {zero: self._constant(np.uint8(zero)) for zero in (0, MIDDLE)}
        self._zero = {INPUT: 0}     # zero point of each tensor

    def conv(self, x: str, channels: int, filters: int, kernel: int = 1, stride: int = 1, groups: int = 1,
             linear: bool = False) -> str:
        """A convolution with the network's activation, unless ``linear``."""
        bends = self.silu and not linear
        zero = MIDDLE if linear or bends else 0
        shape = (filters, channels // groups, kernel, kernel)
        scale = (1 / (SPREAD * math.sqrt(math.prod(shape[1:]))) * self._random.uniform(0.5, 1, filters)).astype(np.float32)
        weights = [self._constant(self._random.integers(-127, 128, shape, np.int8)), self._constant(scale),
                   self._constant(np.zeros(filters, np.int8))]
        inputs = [x, self._one, self._zeros[self._zero[x]], *weights, self._one, self._zeros[zero],
                  self._constant(self._random.integers(-1000, 1001, filters, np.int32))]
        result = self._node("QLinearConv", inputs, zero, group=groups, strides=[stride] * 2, pads=[kernel // 2] * 4)
        return self.multiply(result, self.sigmoid(result), 1 / 256, 0) if bends else result

    def add(self, left: str, right: str) -> str:
        return self._pair("QLinearAdd", left, right, 1.5, MIDDLE)

    def multiply(self, left: str, right: str, scale: float, zero: int) -> str:
        """A product; ``scale``: of ``right``, which holds values of a sigmoid."""
        factor = self._constant(np.float32(scale))
        inputs = [left, self._one, self._zeros[self._zero[left]], right, factor, self._zeros[self._zero[right]],
                  self._one, self._zeros[zero]]
        return self._node("QLinearMul", inputs, zero, _MICROSOFT)

    def sigmoid(self, x: str) -> str:
        inputs = [x, self._constant(np.float32(1 / 32)), self._zeros[self._zero[x]], self._constant(np.float32(1 / 256)),
                  self._zeros[0]]
        return self._node("QLinearSigmoid", inputs, 0, _MICROSOFT)

    def average(self, x: str) -> str:
        zero = self._zeros[self._zero[x]]
        return self._node("QLinearGlobalAveragePool", [x, self._one, zero, self._one, zero], self._zero[x], _MICROSOFT,
                          channels_last=0)

    def inverted_residual(self, x: str, channels: int, expansion: int, kernel: int, stride: int, filters: int) -> str:
        """Expansion, depthwise convolution, with SiLU squeeze and excitation, projection; a residual add if shapes allow."""
        wide = channels * expansion
        inner = self.conv(x, channels, wide) if expansion > 1 else x
        inner = self.conv(inner, wide, wide, kernel, stride, groups=wide)
        if self.silu:
            squeezed = self.conv(self.average(inner), wide, max(1, channels // 4))
            factors = self.conv(squeezed, max(1, channels // 4), wide, linear=True)
            inner = self.multiply(inner, self.sigmoid(factors), 1 / 256, 0)
        result = self.conv(inner, wide, filters, linear=True)
        return self.add(x, result) if stride == 1 and channels == filters else result

    def classify(self, x: str, channels: int) -> str:
        flat = self._node("Flatten", [self.average(x)], self._zero[x])
        shape = (CLASSES, channels)
        scale = np.float32(1 / (SPREAD * math.sqrt(channels)))
        weights = [self._constant(self._random.integers(-127, 128, shape, np.int8)), self._constant(scale),
                   self._constant(np.int8(0))]
        inputs = [flat, self._one, self._zeros[self._zero[flat]], *weights,
                  self._constant(self._random.integers(-1000, 1001, CLASSES, np.int32)), self._one, self._zeros[MIDDLE]]
        return self._node("QGemm", inputs, MIDDLE, _MICROSOFT, transB=1)

    def model(self, output: str, side: int) -> onnx.ModelProto:
        kind = onnx.TensorProto.UINT8
        image = helper.make_tensor_value_info(INPUT, kind, [1, 3, side, side])
        result = helper.make_tensor_value_info(output, kind, [1, CLASSES])
        graph = helper.make_graph(self._nodes, "mobile", [image], [result], self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _pair(self, operator: str, left: str, right: str, scale: float, zero: int) -> str:
        inputs = [left, self._one, self._zeros[self._zero[left]], right, self._one, self._zeros[self._zero[right]],
                  self._constant(np.float32(scale)), self._zeros[zero]]
        # Later layers read the sum as a tensor of scale 1, like every other.
        return self._node(operator, inputs, zero, _MICROSOFT)

    def _node(self, operator: str, inputs: list[str], zero: int, domain: str = "", **attributes: Any) -> str:
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, domain=domain, **attributes))
        self._zero[name] = zero
        return name

    def _constant(self, value: NDArray[Any] | np.generic) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def mobile_network(name: str, side: int = 224, width: float = 1.0) -> onnx.ModelProto:
    """``mobilenet_v2`` or ``efficientnet_b0``: ``image`` uint8 [1, 3, side, side]; ``width``: factor of all channels."""
    silu = name == "efficientnet_b0"
    blocks = {"mobilenet_v2": MOBILENET_V2, "efficientnet_b0": EFFICIENTNET_B0}[name]
    network = Network(silu)
    channels = _scaled(32, width)
    x = network.conv(INPUT, 3, channels, 3, stride=2)
    for expansion, kernel, stride, filters, count in blocks:
        for index in range(count):
            made = _scaled(filters, width)
            x = network.inverted_residual(x, channels, expansion, kernel, stride if index == 0 else 1, made)
            channels = made
    last = max(CLASSES, _scaled(1280, width)) if width >= 1 else _scaled(1280, width)
    return network.model(network.classify(network.conv(x, channels, last), last), side)


def _scaled(channels: int, width: float) -> int:
    return max(DIVISOR, int(channels * width + DIVISOR / 2) // DIVISOR * DIVISOR)


def main() -> None:
    """Writes one of the networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("mobilenet_v2", "efficientnet_b0"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--side", type=int, default=224, help="rows and columns of the image")
    parser.add_argument("--width", type=float, default=1.0, help="factor of all numbers of channels")
    arguments = parser.parse_args()
    onnx.save(mobile_network(arguments.name, arguments.side, arguments.width), arguments.file)


if __name__ == "__main__":
    main()
