"""Beginnings and ends: several kinds of inputs, and the host's float computation before and after the integers."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from . import pools, products
from .float_network import FloatNetwork

Ending = Callable[[FloatNetwork, str], list[str]]


def image(net: FloatNetwork, name: str, shape: Sequence[int]) -> str:
    """A float input [1, C, ...], sometimes channels last."""
    values = net.rng.normal(0, 1, (1, *shape)).astype(np.float32)
    if len(shape) < 2 or net.chance(0.75):
        return net.given(name, values)
    rank = len(shape) + 1
    net.given(name, np.ascontiguousarray(np.moveaxis(values, 1, -1)))
    return net.node("Transpose", [name], perm=[0, rank - 1, *range(1, rank - 1)])


def picture(net: FloatNetwork, name: str, shape: Sequence[int]) -> str:
    """A uint8 input whose pixels the host converts to floats around 0."""
    last = net.chance(0.5)
    extents = (1, *shape[1:], shape[0]) if last else (1, *shape)
    net.given(name, net.rng.integers(0, 256, extents).astype(np.uint8))
    net.prefix = "head_"
    x = net.node("Cast", [name], to=onnx.TensorProto.FLOAT)
    if last:
        x = net.node("Transpose", [x], perm=[0, len(shape), *range(1, len(shape))])
    if net.chance(0.3):
        x = net.node("Gather", [x, net.integers(*range(shape[0])[::-1])], axis=1)
    x = net.node("Div", [x, net.constant(255)]) if net.chance(0.5) else net.node("Mul", [x, net.constant(1 / 255)])
    if net.chance(0.7):
        each = (shape[0], *[1] * (len(shape) - 1))
        x = net.node("Sub", [x, net.constant(net.rng.uniform(0.4, 0.5, each))])
        x = net.node("Div", [x, net.constant(net.rng.uniform(0.2, 0.3, each))])
    net.prefix = ""
    return x


def classes(net: FloatNetwork, x: str) -> list[str]:
    """One value per class, and sometimes a quantized softmax."""
    flat = pools.flat(net, x) if np.prod(net.shape(x)) < 200 and net.chance(0.3) else pools.features(net, x)
    y = products.gemm(net, flat)
    return [net.node("Softmax", [y], axis=-1)] if net.chance(0.15) else [y]


def one_map(_: FloatNetwork, x: str) -> list[str]:
    """The map itself."""
    return [x]


def two_maps(net: FloatNetwork, x: str) -> list[str]:
    """Two outputs, one before the other."""
    return [x, products.conv(net, x)]


def softened(net: FloatNetwork, x: str) -> list[str]:
    """Functions over all classes, after the last integers."""
    logits = classes(net, x)[0]
    net.prefix = "tail_"
    kind = net.pick(["Softmax", "LogSoftmax", "ArgMax", "TopK", "Sigmoid", "unit length", "LpNormalization"])
    if kind in ("Softmax", "LogSoftmax"):
        return [net.node(kind, [logits], axis=-1)]
    if kind == "ArgMax":
        return [net.node("ArgMax", [logits], axis=1, keepdims=net.count(0, 1))]
    if kind == "TopK":
        return net.split("TopK", [logits, net.integers(2)], 2, axis=-1)
    if kind == "unit length":
        length = net.node("Sqrt", [net.reduce("ReduceSum", net.node("Mul", [logits, logits]), [1])])
        return [net.node("Div", [logits, net.node("Add", [length, net.constant(1e-3)])])]
    if kind == "LpNormalization":
        return [net.node("LpNormalization", [logits], axis=-1, p=2)]
    return [net.node("Sigmoid", [logits])]


def scored_map(net: FloatNetwork, x: str) -> list[str]:
    """A class per pixel, as in segmentation: Softmax or ArgMax over the channels, sometimes after upsampling."""
    x = products.conv(net, x, net.count(2, 5), 1, 1)
    net.prefix = "tail_"
    if net.chance(0.5):
        x = net.node("Resize", [x, "", net.constant([1, 1, *[2] * (len(net.shape(x)) - 2)])], mode="linear")
    return [net.node("ArgMax", [x], axis=1)] if net.chance(0.5) else [net.node("Softmax", [x], axis=1)]


def boxes(net: FloatNetwork, x: str) -> list[str]:
    """A detector: two maps of boxes and scores, joined, decoded with anchors, and sometimes suppressed."""
    maps = [x, products.conv(net, x, kernel=3, stride=1)]
    rows = []
    for value in maps:
        places, scores = products.conv(net, value, 4, 1, 1), products.conv(net, value, 2, 1, 1)
        rows.append(net.node("Concat", [_rows(net, places, 4), _rows(net, scores, 2)], axis=2))
    net.prefix = "tail_"
    joined = net.node("Concat", rows, axis=1)
    raw, logits = net.split("Split", [joined, net.integers(4, 2)], 2, axis=2)
    centres, sizes = net.split("Split", [raw, net.integers(2, 2)], 2, axis=2)
    anchors = net.constant(net.rng.uniform(0, 8, (1, net.shape(joined)[1], 2)))
    centres = net.node("Add", [net.node("Mul", [centres, net.constant(0.1)]), anchors])
    sizes = net.node("Exp", [net.node("Mul", [sizes, net.constant(0.2)])])
    corners = [net.node(operator, [centres, sizes]) for operator in ("Sub", "Add")]
    decoded, scores = net.node("Concat", corners, axis=2), net.node("Sigmoid", [logits])
    if net.chance(0.5):
        return [decoded, scores]
    turned = net.node("Transpose", [scores], perm=[0, 2, 1])
    limits = [net.integers(5), net.constant([0.5]), net.constant([0.3])]
    return [net.node("NonMaxSuppression", [decoded, turned, *limits])]


def _rows(net: FloatNetwork, x: str, count: int) -> str:
    if net.chance(0.5):
        return net.node("Transpose", [net.reshape(x, count, -1)], perm=[0, 2, 1])
    return net.reshape(net.node("Transpose", [x], perm=[0, 2, 3, 1]), -1, count)


ENDINGS: tuple[Ending, ...] = (classes, classes, classes, one_map, two_maps, softened, scored_map)
IMAGE_ENDINGS: tuple[Ending, ...] = (boxes,)
