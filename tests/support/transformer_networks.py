"""Vision transformers as int8 networks with random weights: ``python -m transformer_networks NAME FILE``.

Cycles do not depend on what weights are; that these are random keeps every value of every tensor in use.
"""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

SEED, OPSET, IR_VERSION = 1, 17, 8
INPUT = "image"
SPREAD = 73     # deviation of int8 weights that are all alike likely, and about that of activations
MIDDLE = 128    # zero point of activations
STEP = 1 / 32   # their scale: a deviation of about 2
ATTENTION_STEP = 1 / 256

_MICROSOFT = "com.microsoft"

#: Image, patch, channels, layers, heads, classes.
NETWORKS = {"vit_tiny": (224, 16, 192, 12, 3, 1000), "vit_small": (224, 16, 384, 12, 6, 1000),
            "vit_micro": (32, 8, 64, 2, 2, 10)}


class Network:
    """A network of QLinear operators under construction, with layer normalization in float between them."""

    def __init__(self, seed: int = SEED) -> None:
        self._random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.scale, self.zero = self.constant(np.float32(STEP)), self.constant(np.uint8(MIDDLE))
        self.activation = [self.scale, self.zero]

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def weights(self, *shape: int, depth: int) -> list[str]:
        """Weights whose sums of ``depth`` products fill a byte like their operands."""
        values = self._random.integers(-127, 128, shape).astype(np.int8)
        return [self.constant(values), self.constant(np.float32(1 / (SPREAD * math.sqrt(depth)))), self.constant(np.int8(0))]

    def bytes_of(self, *shape: int) -> str:
        return self.constant(self._random.integers(64, 193, shape).astype(np.uint8))

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        weights = self.weights(inputs, outputs, depth=inputs)
        product = self.node("QLinearMatMul", x, *self.activation, *weights, *self.activation)
        return self.add(product, self.bytes_of(outputs))

    def add(self, a: str, b: str) -> str:
        return self.node("QLinearAdd", a, *self.activation, b, *self.activation, *self.activation, domain=_MICROSOFT)

    def norm(self, x: str, channels: int) -> str:
        gamma = self.constant(self._random.uniform(0.5, 1.5, channels).astype(np.float32))
        beta = self.constant(self._random.uniform(-0.5, 0.5, channels).astype(np.float32))
        real = self.node("LayerNormalization", self.node("DequantizeLinear", x, *self.activation), gamma, beta, axis=-1)
        return self.node("QuantizeLinear", real, *self.activation)

    def attention(self, x: str, tokens: int, channels: int, heads: int) -> str:
        shape = self.constant(np.array([0, tokens, heads, channels // heads], np.int64))
        parts = []
        for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
            part = self.node("Reshape", self.linear(x, channels, channels), shape)
            parts.append(self.node("Transpose", part, perm=order))
        softer = [self.constant(np.float32(STEP * 8)), self.zero]
        scores = self.node("QLinearMatMul", parts[0], *self.activation, parts[1], *self.activation, *softer)
        weights = [self.constant(np.float32(ATTENTION_STEP)), self.constant(np.uint8(0))]
        softmax = self.node("QLinearSoftmax", scores, *softer, *weights, domain=_MICROSOFT, axis=-1, opset=13)
        mixed = self.node("QLinearMatMul", softmax, *weights, parts[2], *self.activation, *self.activation)
        back = self.node("Transpose", mixed, perm=[0, 2, 1, 3])
        joined = self.node("Reshape", back, self.constant(np.array([0, tokens, channels], np.int64)))
        return self.linear(joined, channels, channels)

    def perceptron(self, x: str, channels: int) -> str:
        hidden = self.linear(x, channels, 4 * channels)
        real = self.node("DequantizeLinear", hidden, *self.activation)
        half = self.constant(np.float32(0.5))
        erf = self.node("Erf", self.node("Mul", real, self.constant(np.float32(math.sqrt(0.5)))))
        gelu = self.node("Mul", self.node("Mul", real, half), self.node("Add", erf, self.constant(np.float32(1))))
        return self.linear(self.node("QuantizeLinear", gelu, *self.activation), 4 * channels, channels)


def build(name: str) -> onnx.ModelProto:
    """The network of that name."""
    size, patch, channels, layers, heads, classes = NETWORKS[name]
    network, positions = Network(), (size // patch) ** 2
    tokens = positions + 1
    image = network.node("QuantizeLinear", INPUT, *network.activation)
    kernel = network.weights(channels, 3, patch, patch, depth=3 * patch * patch)
    patches = network.node("QLinearConv", image, *network.activation, *kernel, *network.activation, strides=[patch] * 2,
                           kernel_shape=[patch] * 2)
    flat = network.node("Reshape", patches, network.constant(np.array([0, channels, positions], np.int64)))
    rows = network.node("Transpose", flat, perm=[0, 2, 1])
    token = network.bytes_of(1, 1, channels)
    x = network.node("QLinearConcat", *network.activation, token, *network.activation, rows, *network.activation,
                     domain=_MICROSOFT, axis=1)
    x = network.add(x, network.bytes_of(1, tokens, channels))
    for _ in range(layers):
        x = network.add(x, network.attention(network.norm(x, channels), tokens, channels, heads))
        x = network.add(x, network.perceptron(network.norm(x, channels), channels))
    first = network.node("Gather", network.norm(x, channels), network.constant(np.array(0, np.int64)), axis=1)
    logits = network.node("QLinearMatMul", first, *network.activation, *network.weights(channels, classes, depth=channels),
                          *network.activation)
    network.nodes.append(helper.make_node("DequantizeLinear", [logits, *network.activation], ["logits"], name="logits"))
    graph = helper.make_graph(
        network.nodes, name, [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [1, classes])], network.constants)
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET),
                                                                          helper.make_opsetid(_MICROSOFT, 1)])


def picture(name: str, seed: int = SEED) -> NDArray[np.float32]:
    """A random image [1, 3, H, W] that fills the range of bytes."""
    size = NETWORKS[name][0]
    return (np.random.default_rng(seed).uniform(-MIDDLE, MIDDLE, (1, 3, size, size)) * STEP).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    onnx.save(build(options.name), options.file)
    np.save(options.file.with_suffix(".npy"), picture(options.name))


if __name__ == "__main__":
    main()
