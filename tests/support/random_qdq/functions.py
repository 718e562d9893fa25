"""Unary functions and binary operators."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import products
from .float_network import FloatNetwork

_UNARY: tuple[tuple[str, int, Mapping[str, Any]], ...] = (
    ("Relu", 13, {}), ("Relu", 13, {}), ("LeakyRelu", 13, {"alpha": 0.1}), ("Sigmoid", 13, {}), ("Tanh", 13, {}),
    ("HardSigmoid", 13, {"alpha": 1 / 6, "beta": 0.5}), ("HardSwish", 14, {}), ("Elu", 13, {"alpha": 0.8}),
    ("Softplus", 13, {}), ("Mish", 18, {}), ("Gelu", 20, {}), ("Gelu", 20, {"approximate": "tanh"}), ("Abs", 13, {}),
    ("Erf", 13, {}), ("Selu", 13, {}), ("Softsign", 13, {}), ("Neg", 13, {}), ("Celu", 13, {"alpha": 0.9}),
)  # name, first operator set, attributes


def activation(net: FloatNetwork, x: str) -> str:
    """An element-wise operator."""
    if net.chance(0.2):
        return net.node("Clip", [x, net.constant(0), net.constant(net.pick([6.0, 1.5]))])
    if net.chance(0.1):
        channels = net.shape(x)[1]
        slopes = net.rng.uniform(0, 0.5, (channels, *[1] * (len(net.shape(x)) - 2)))
        return net.node("PRelu", [x, net.constant(slopes)])
    name, _, attributes = net.pick([entry for entry in _UNARY if entry[1] <= net.opset])
    return net.node(name, [x], **attributes)


def written_out(net: FloatNetwork, x: str) -> str:
    """Hard-swish, SiLU, GELU or a square written as several operators."""
    first = len(net.nodes)
    y = net.pick([_hard_swish, _silu, _gelu, _mish])(net, x)
    if net.chance(0.5):
        net.loose.update(name for node in net.nodes[first:-1] for name in node.output)
    return y


def _hard_swish(net: FloatNetwork, x: str) -> str:
    clipped = net.node("Clip", [net.node("Add", [x, net.constant(3)]), net.constant(0), net.constant(6)])
    if net.chance(0.5):
        return net.node("Mul", [x, net.node("Div", [clipped, net.constant(6)])])
    product = net.node("Mul", [x, clipped])
    return net.node("Div", [product, net.constant(6)]) if net.chance(0.5) \
        else net.node("Mul", [product, net.constant(1 / 6)])


def _silu(net: FloatNetwork, x: str) -> str:
    gate = net.node(net.pick(["Sigmoid", "HardSigmoid"]), [x])
    return net.node("Mul", [x, gate] if net.chance(0.5) else [gate, x])


def _gelu(net: FloatNetwork, x: str) -> str:
    scaled = net.node("Div", [x, net.constant(np.sqrt(2))]) if net.chance(0.5) \
        else net.node("Mul", [x, net.constant(np.sqrt(0.5))])
    half = net.node("Mul", [x, net.node("Add", [net.node("Erf", [scaled]), net.constant(1)])])
    return net.node("Mul", [half, net.constant(0.5)])


def _mish(net: FloatNetwork, x: str) -> str:
    return net.node("Mul", [x, net.node("Tanh", [net.node("Softplus", [x])])])


def with_constant(net: FloatNetwork, x: str) -> str:
    """A sum, difference, product or quotient with a scalar or with one value per channel."""
    operator = net.pick(["Add", "Sub", "Mul", "Div", "Max", "Min"])
    spatial = [1] * (len(net.shape(x)) - 2)
    shape: list[int] = net.pick([[], [1], [net.shape(x)[1], *spatial], [1, net.shape(x)[1], *spatial]])
    values = net.rng.uniform(0.4, 1.6, shape) * (net.pick([1, -1]) if operator in ("Add", "Sub") else 1)
    constant = net.constant(values)
    forward = operator == "Div" or net.chance(0.7)
    return net.node(operator, [x, constant] if forward else [constant, x])


def batch_norm(net: FloatNetwork, x: str) -> str:
    """A BatchNormalization that cannot be folded into a convolution."""
    count = net.shape(x)[1]
    operands = (net.rng.uniform(0.5, 1.5, count), net.rng.normal(0, 0.3, count), net.rng.normal(0, 0.3, count),
                net.rng.uniform(0.5, 1.5, count))
    return net.node("BatchNormalization", [x, *map(net.constant, operands)])


def two(net: FloatNetwork, x: str, y: str) -> str:
    """An operator on two values of equal shape, or with one of them broadcast."""
    operands = [x, y] if net.chance(0.5) else [y, x]
    kind = net.pick(["Add", "Add", "Add", "Sub", "Mul", "Max", "Min", "Div", "distance"])
    if kind == "Div":
        gate = net.node("Sigmoid", [y])
        return net.node("Div", [x, net.node("Add", [gate, net.constant(0.5)])])
    if kind == "distance":
        difference = net.node("Sub", operands)
        net.loose.add(difference)
        return net.node("Abs", [difference])
    made = net.node(kind, operands)
    if kind == "Add" and net.chance(0.4):
        net.loose.add(made)
        return net.node("Relu", [made])
    return made


def residual(net: FloatNetwork, x: str) -> str:
    """A branch of one or two layers, joined with its input."""
    y = x
    for _ in range(net.count(1, 2)):
        y = layer(net, y, channels=net.shape(x)[1], stride=1)
    if net.shape(y) != net.shape(x):
        return y
    return two(net, x, y)


def layer(net: FloatNetwork, x: str, channels: int | None = None, stride: int | None = None) -> str:
    """A convolution, sometimes with BatchNormalization or an activation, before which it may stay in float."""
    y = products.conv(net, x, channels, stride=stride) if channels or net.chance(0.7) else products.depthwise(net, x, stride)
    if net.chance(0.6):
        loose, plain = net.chance(0.8), net.chance(0.6)
        if loose:
            (net.loose if plain else net.rounded).add(y)
        y = net.node("Relu", [y]) if plain else activation(net, y)
    return y


def squeeze_and_excitation(net: FloatNetwork, x: str) -> str:
    """A mean per channel, two products, a gate."""
    channels, axes = net.shape(x)[1], list(range(2, len(net.shape(x))))
    mean = net.node("GlobalAveragePool", [x]) if net.chance(0.5) \
        else net.reduce(net.pick(["ReduceMean", "ReduceMean", "ReduceMax"]), x, axes)
    hidden = net.node("Relu", [products.conv(net, mean, net.count(1, 4), 1, 1)])
    gate = net.node(net.pick(["Sigmoid", "HardSigmoid"]), [products.conv(net, hidden, channels, 1, 1)])
    return net.node("Mul", [x, gate] if net.chance(0.5) else [gate, x])


Block = Callable[[FloatNetwork, str], str]
BLOCKS: tuple[Block, ...] = (activation, written_out, with_constant, batch_norm, residual, residual, squeeze_and_excitation)
