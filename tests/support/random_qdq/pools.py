"""Pooling in all modes, and reductions."""

from collections.abc import Mapping, Sequence
from typing import Any

from . import functions, products
from .float_network import FloatNetwork


def pool(net: FloatNetwork, x: str) -> str:
    """MaxPool or AveragePool."""
    extents = net.shape(x)[2:]
    if min(extents) < 3:
        return x
    side = net.pick([2, 3, 3])
    operator = net.pick(["MaxPool", "AveragePool"])
    attributes: dict[str, Any] = {"kernel_shape": [side] * len(extents), "strides": [net.pick([1, 2, 2])] * len(extents)}
    if net.chance(0.15):
        attributes["auto_pad"] = net.pick(["SAME_UPPER", "SAME_LOWER"])
    else:
        attributes["pads"] = [net.count(0, side // 2) for _ in range(2 * len(extents))]
        attributes["ceil_mode"] = int(net.chance(0.5) and _all_windows_count(extents, side, attributes))
    if operator == "AveragePool":
        attributes["count_include_pad"] = net.count(0, 1)
    return net.node(operator, [x], **attributes)


def _all_windows_count(extents: Sequence[int], side: int, attributes: Mapping[str, Any]) -> bool:
    """Whether rounding up adds no window that starts after the image: shape inference counts it, kernels do not."""
    begin, end = attributes["pads"][: len(extents)], attributes["pads"][len(extents):]
    last = (-(-(extent + first + second - side) // stride) * stride
            for extent, first, second, stride in zip(extents, begin, end, attributes["strides"], strict=True))
    return all(start < extent + first for start, extent, first in zip(last, extents, begin, strict=True))


def attention_over_pixels(net: FloatNetwork, x: str) -> str:
    """Mean and maximum over the channels, a convolution of both, a gate per pixel."""
    both = [net.reduce(operator, x, [1]) for operator in ("ReduceMean", "ReduceMax")]
    gate = products.conv(net, net.node("Concat", both, axis=1), 1, 3, 1)
    if net.shape(gate)[2:] != net.shape(x)[2:]:
        return functions.activation(net, x)
    return net.node("Mul", [x, net.node("Sigmoid", [gate])])


def reduced(net: FloatNetwork, x: str) -> str:
    """A mean, sum or extreme over rows, columns or both, added to the value."""
    axes = net.pick([[2], [3], [2, 3], [-1]]) if len(net.shape(x)) == 4 else [2]
    operator = net.pick(["ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"])
    return net.node(net.pick(["Add", "Sub", "Mul", "Max"]), [x, net.reduce(operator, x, axes)])


def features(net: FloatNetwork, x: str) -> str:
    """One value per channel, [1, C], in one of the forms that exporters write."""
    axes = list(range(2, len(net.shape(x))))
    kind = net.pick(["GlobalAveragePool", "GlobalAveragePool", "ReduceMean", "ReduceMean", "GlobalMaxPool", "ReduceSum"])
    if kind.startswith("Global"):
        y = net.node(kind, [x])
    elif net.chance(0.5):
        return net.reduce(kind, x, axes, keepdims=False)
    else:
        y = net.reduce(kind, x, axes)
    return flat(net, y)


def flat(net: FloatNetwork, x: str) -> str:
    """All elements as [1, K]."""
    rank = len(net.shape(x))
    kinds = ["Flatten", "Reshape", "Reshape"]
    if all(extent == 1 for extent in net.shape(x)[2:]):
        kinds.append("Squeeze")
    kind = net.pick(kinds)
    if kind == "Flatten":
        return net.node("Flatten", [x], axis=1)
    if kind == "Squeeze":
        return net.node("Squeeze", [x, net.integers(*range(2, rank))])
    return net.reshape(x, -1)


BLOCKS = (pool, pool)
IMAGE_BLOCKS = (attention_over_pixels, reduced)
