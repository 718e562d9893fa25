"""Small float transformers with seeded random weights, written as exporters write them, and heads fitted to digits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from networks import Network
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from arrayloom.compiler.frontend.runtime import Session, with_outputs

OPSET = 17
CHANNELS, HEADS, LAYERS, CLASSES = 64, 4, 2, 4
SIDE, PATCH = 8, 2                      # of digits, and of the squares that become tokens
WORDS = 12                              # tokens of a text

Floats = NDArray[np.float32]


class Transformer(Network):
    """A float network of tokens [N, T, C] under construction."""

    def __init__(self, seed: int = 3) -> None:
        super().__init__(OPSET)
        self.random = np.random.default_rng(seed)

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def drawn(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant(self.random.normal(scale=scale, size=shape).astype(np.float32))

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        product = self.node("MatMul", [x, self.drawn(inputs, outputs, scale=inputs**-0.5)])
        return self.node("Add", [self.drawn(outputs, scale=0.2), product])

    def norm(self, x: str, channels: int = CHANNELS) -> str:
        gamma = self.constant(self.random.uniform(0.5, 1.5, channels).astype(np.float32))
        return self.node("LayerNormalization", [x, gamma, self.drawn(channels, scale=0.2)], axis=-1, epsilon=1e-6)

    def gelu(self, x: str) -> str:
        erf = self.node("Erf", [self.node("Div", [x, self.constant(np.float32(2**0.5))])])
        doubled = self.node("Mul", [x, self.node("Add", [erf, self.constant(np.float32(1))])])
        return self.node("Mul", [doubled, self.constant(np.float32(0.5))])

    def perceptron(self, x: str) -> str:
        return self.linear(self.gelu(self.linear(x, CHANNELS, 4 * CHANNELS)), 4 * CHANNELS, CHANNELS)

    def joined_attention(self, x: str, tokens: int) -> str:
        """Queries, keys and values out of one product, the queries scaled before they meet the keys, as timm has it."""
        depth = CHANNELS // HEADS
        apart = self.node("Reshape", [self.linear(x, CHANNELS, 3 * CHANNELS), self.integers(0, tokens, 3, HEADS, depth)])
        moved = self.node("Transpose", [apart], perm=[2, 0, 3, 1, 4])
        q, k, v = (self.node("Gather", [moved, self.constant(np.int64(place))], axis=0) for place in range(3))
        q = self.node("Mul", [q, self.constant(np.float32(depth**-0.5))])
        return self.mixed(q, self.node("Transpose", [k], perm=[0, 1, 3, 2]), v, tokens)

    def separate_attention(self, x: str, tokens: int) -> str:
        """Queries, keys and values of three products, the scores divided, as BERT has it."""
        depth = CHANNELS // HEADS
        parts = []
        for order in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)):
            part = self.node("Reshape", [self.linear(x, CHANNELS, CHANNELS), self.integers(0, 0, HEADS, depth)])
            parts.append(self.node("Transpose", [part], perm=order))
        return self.mixed(*parts, tokens, divisor=depth**0.5)

    def mixed(self, q: str, k: str, v: str, tokens: int, divisor: float | None = None) -> str:
        scores = self.node("MatMul", [q, k])
        if divisor is not None:
            scores = self.node("Div", [scores, self.constant(np.float32(divisor))])
        weighted = self.node("MatMul", [self.node("Softmax", [scores], axis=-1), v])
        together = self.node("Transpose", [weighted], perm=[0, 2, 1, 3])
        flat = self.node("Reshape", [together, self.integers(0, tokens, CHANNELS)])
        return self.linear(flat, CHANNELS, CHANNELS)

    def with_tokens_in_front(self, rows: str, count: int) -> str:
        """The tokens after some that are learnt, repeated for the batch."""
        extent = self.node("Gather", [self.node("Shape", [rows]), self.integers(0)], axis=0)
        shape = self.node("Concat", [extent, self.integers(1, CHANNELS)], axis=0)
        learnt = [self.node("Expand", [self.drawn(1, 1, CHANNELS, scale=0.1), shape]) for _ in range(count)]
        return self.node("Concat", [*learnt, rows], axis=1)

    def classify(self, x: str, token: int = 0) -> str:
        first = self.node("Gather", [x, self.constant(np.int64(token))], axis=1)
        return self.node("Gemm", [first, self.drawn(CLASSES, CHANNELS), self.drawn(CLASSES)], transB=1)


def vision(distilled: bool = False) -> onnx.ModelProto:
    """ViT of digits: normalization first; with a second learnt token and head where it is `distilled`, as DeiT has it."""
    n, learnt = Transformer(), 2 if distilled else 1
    positions = (SIDE // PATCH) ** 2
    patches = n.node("Conv", ["image", n.drawn(CHANNELS, 1, PATCH, PATCH, scale=0.5), n.drawn(CHANNELS, scale=0.2)],
                     kernel_shape=[PATCH] * 2, strides=[PATCH] * 2)
    rows = n.node("Transpose", [n.node("Reshape", [patches, n.integers(0, CHANNELS, positions)])], perm=[0, 2, 1])
    tokens = positions + learnt
    x = n.node("Add", [n.with_tokens_in_front(rows, learnt), n.drawn(1, tokens, CHANNELS, scale=0.3)])
    for _ in range(LAYERS):
        x = n.node("Add", [x, n.joined_attention(n.norm(x), tokens)])
        x = n.node("Add", [x, n.perceptron(n.norm(x))])
    x = n.norm(x)
    logits = [n.classify(x, token) for token in range(learnt)]
    if distilled:
        logits = [n.node("Div", [n.node("Add", logits), n.constant(np.float32(2))])]
    return n.model({"image": (np.float32, ["N", 1, SIDE, SIDE])}, logits)


def text() -> onnx.ModelProto:
    """An encoder of texts like BERT, after the lookup of its embeddings: normalization after each sum, and a pooler."""
    n = Transformer()
    x = n.norm(n.node("Add", ["embeddings", n.drawn(1, WORDS, CHANNELS, scale=0.3)]))
    for _ in range(LAYERS):
        x = n.norm(n.node("Add", [n.separate_attention(x, WORDS), x]))
        x = n.norm(n.node("Add", [n.perceptron(x), x]))
    first = n.node("Gather", [x, n.constant(np.int64(0))], axis=1)
    pooled = n.node("Tanh", [n.node("Gemm", [first, n.drawn(CHANNELS, CHANNELS, scale=0.2), n.drawn(CHANNELS)])])
    return n.model({"embeddings": (np.float32, ["N", WORDS, CHANNELS])},
                   [n.node("Gemm", [pooled, n.drawn(CLASSES, CHANNELS), n.drawn(CLASSES)], transB=1)])


def convnext() -> onnx.ModelProto:
    """ConvNeXt of digits: depthwise convolutions, normalization of the channels of maps, and scaled branches."""
    n = Transformer()
    x = n.node("Conv", ["image", n.drawn(CHANNELS, 1, PATCH, PATCH, scale=0.5), n.drawn(CHANNELS, scale=0.2)],
               kernel_shape=[PATCH] * 2, strides=[PATCH] * 2)
    for _ in range(LAYERS):
        y = n.node("Conv", [x, n.drawn(CHANNELS, 1, 3, 3, scale=0.3), n.drawn(CHANNELS, scale=0.2)], kernel_shape=[3, 3],
                   pads=[1] * 4, group=CHANNELS)
        y = n.perceptron(n.norm(n.node("Transpose", [y], perm=[0, 2, 3, 1])))
        y = n.node("Transpose", [n.node("Mul", [y, n.drawn(CHANNELS, scale=0.5)])], perm=[0, 3, 1, 2])
        x = n.node("Add", [y, x])
    pooled = n.node("Flatten", [n.node("GlobalAveragePool", [x])])
    return n.model({"image": (np.float32, ["N", 1, SIDE, SIDE])},
                   [n.node("Gemm", [pooled, n.drawn(CLASSES, CHANNELS), n.drawn(CLASSES)], transB=1)])


NETWORKS: dict[str, Callable[[], onnx.ModelProto]] = {
    "vision": vision, "distilled": lambda: vision(distilled=True), "text": text, "convnext": convnext}


def digits() -> tuple[Floats, NDArray[np.int64]]:
    """Digits from 0 to 3 as images [N, 1, 8, 8], and their classes."""
    found: Any = load_digits()
    known = found.target < CLASSES
    return ((found.images[known, np.newaxis] - 5) / 6).astype(np.float32), found.target[known].astype(np.int64)


def texts(count: int, seed: int = 7) -> tuple[Floats, NDArray[np.int64]]:
    """Embeddings [N, T, C] of words from a vocabulary of 24, and classes that follow from the first word."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(24, CHANNELS)).astype(np.float32)
    words = random.integers(0, len(table), (count, WORDS))
    return table[words], words[:, 0] % CLASSES


def with_fitted_heads(model: onnx.ModelProto, inputs: Floats, classes: NDArray[np.int64]) -> onnx.ModelProto:
    """The network with the weights of its heads that fit these classes best, in the sense of least squares."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    heads = [node for node in model.graph.node if node.op_type == "Gemm" and tensors[node.input[1]].dims[0] == CLASSES]
    features = Session(with_outputs(model, [node.input[0] for node in heads])).run({model.graph.input[0].name: inputs})
    wanted = np.eye(CLASSES)[classes] * 2 - 1
    for node in heads:
        known = np.hstack([features[node.input[0]], np.ones((len(inputs), 1))])
        fitted = np.linalg.solve(known.T @ known + 10 * np.eye(known.shape[1]), known.T @ wanted).astype(np.float32)
        for name, value in zip(node.input[1:], (np.ascontiguousarray(fitted[:-1].T), fitted[-1]), strict=True):
            tensors[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
    return model
