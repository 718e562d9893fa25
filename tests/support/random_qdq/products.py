"""Products: convolutions of all kinds, transposed convolutions, matrix products."""

import numpy as np

from .float_network import FloatNetwork

MOST_CHANNELS = 8


def conv(net: FloatNetwork, x: str, channels: int | None = None, kernel: int | None = None,
         stride: int | None = None) -> str:
    """A convolution over one or two dimensions, padded enough for a non-empty output, often of the same size."""
    _, inputs, *extents = net.shape(x)
    groups = net.pick([1, 1, 1, *[g for g in (2, 4) if inputs % g == 0]])
    outputs = channels or net.count(1, MOST_CHANNELS // groups) * groups
    if outputs % groups:
        groups = 1
    return _conv(net, x, outputs, groups, [kernel or net.pick([1, 3, 3, 5]) for _ in extents], stride)


def depthwise(net: FloatNetwork, x: str, stride: int | None = None) -> str:
    """A depthwise convolution, sometimes with several outputs per input."""
    _, inputs, *extents = net.shape(x)
    return _conv(net, x, inputs * net.pick([1, 1, 1, 2]), inputs, [net.pick([3, 3, 5]) for _ in extents], stride)


def _conv(net: FloatNetwork, x: str, outputs: int, groups: int, kernel: list[int], stride: int | None) -> str:
    _, inputs, *extents = net.shape(x)
    strides = [stride or net.pick([1, 1, 2]) for _ in extents]
    dilation = net.pick([1, 1, 1, 2]) if min(extents) > 4 and max(kernel) == 3 else 1
    fan_in = inputs // groups * int(np.prod(kernel))
    weight = _weight(net, (outputs, inputs // groups, *kernel), fan_in, axis=0)
    attributes = {"kernel_shape": kernel, "group": groups, "strides": strides, "dilations": [dilation] * len(extents)}
    if dilation == 1 and net.chance(0.15):
        attributes["auto_pad"] = net.pick(["SAME_UPPER", "SAME_LOWER"])
    else:
        attributes["pads"] = _pads(net, kernel, dilation, extents)
    return net.node("Conv", [x, weight, *_bias(net, x, weight, outputs)], **attributes)


def _pads(net: FloatNetwork, kernel: list[int], dilation: int, extents: list[int]) -> list[int]:
    reach = [(side - 1) * dilation for side in kernel]
    begin, end = [side // 2 for side in reach], [side - side // 2 for side in reach]
    fewer = net.pick([0, 0, 0, 1, 2, 9])
    if all(extent + side - fewer > side for extent, side in zip(extents, reach, strict=True)):
        begin = [max(side - fewer, 0) for side in begin]
        if fewer > 1:
            end = [0] * len(end)
    return [*begin, *end] if _fits(begin, end, reach, extents) else [*reach, *reach]


def _fits(begin: list[int], end: list[int], reach: list[int], extents: list[int]) -> bool:
    return all(extent + a + b > side for extent, a, b, side in zip(extents, begin, end, reach, strict=True))


def conv_transpose(net: FloatNetwork, x: str) -> str:
    """A transposed convolution that doubles or keeps height and width."""
    _, inputs, *extents = net.shape(x)
    stride, kernel, pad, extra = net.pick([(2, 2, 0, 0), (2, 4, 1, 0), (2, 3, 1, 1), (1, 3, 1, 0), (2, 3, 0, 0)])
    groups = net.pick([1, 1, inputs])
    outputs = inputs if groups > 1 else net.count(1, MOST_CHANNELS)
    dims = len(extents)
    fan_in = max(inputs // groups * kernel**dims // stride**dims, 1)
    weight = _weight(net, (inputs, outputs // groups, *[kernel] * dims), fan_in, axis=1)
    return net.node("ConvTranspose", [x, weight, *_bias(net, x, weight, outputs)], kernel_shape=[kernel] * dims,
                    strides=[stride] * dims, pads=[pad] * (2 * dims), output_padding=[extra] * dims, group=groups)


def gemm(net: FloatNetwork, x: str, outputs: int | None = None) -> str:
    """Gemm, or MatMul and Add, of [1, K]."""
    inputs, outputs = net.shape(x)[-1], outputs or net.count(2, 10)
    if net.chance(0.5):
        return matmul(net, x, outputs)
    turned = net.chance(0.5)
    shape = (outputs, inputs) if turned else (inputs, outputs)
    weight = _weight(net, shape, inputs, axis=0 if turned else 1)
    return net.node("Gemm", [x, weight, *_bias(net, x, weight, outputs)], transB=int(turned))


def matmul(net: FloatNetwork, x: str, outputs: int | None = None) -> str:
    """MatMul over the last axis by a constant, of rank 2 to 4, sometimes with an Add."""
    inputs, outputs = net.shape(x)[-1], outputs or net.count(2, MOST_CHANNELS)
    weight = _weight(net, (inputs, outputs), inputs, axis=1)
    y = net.node("MatMul", [x, weight])
    if net.chance(0.5):
        net.loose.add(y)
        bias = net.constant(net.rng.normal(0, 0.3, outputs))
        net.biases[bias] = (x, weight)
        y = net.node("Add", [y, bias] if net.chance(0.7) else [bias, y])
    return y


def tokens(net: FloatNetwork, x: str) -> str:
    """A 1x1 convolution as transformers write it: pixels as rows, a product of rank 3 or 4, and back."""
    _, channels, height, width = net.shape(x)
    if net.chance(0.5):
        rows = net.node("Transpose", [x], perm=[0, 2, 3, 1])
        return net.node("Transpose", [_expanded(net, rows, channels)], perm=[0, 3, 1, 2])
    flat = net.reshape(x, channels, -1)
    rows = net.node("Transpose", [flat], perm=[0, 2, 1])
    made = net.node("Transpose", [_expanded(net, rows, channels)], perm=[0, 2, 1])
    return net.reshape(made, channels, height, width)


def _expanded(net: FloatNetwork, rows: str, channels: int) -> str:
    hidden = net.node("Relu", [matmul(net, rows)])
    return matmul(net, hidden, channels)


def _weight(net: FloatNetwork, shape: tuple[int, ...], fan_in: int, axis: int) -> str:
    weight = net.constant(net.rng.normal(0, 1.2 / np.sqrt(fan_in), shape))
    net.weights[weight] = axis
    return weight


def _bias(net: FloatNetwork, x: str, weight: str, outputs: int) -> list[str]:
    if net.chance(0.25):
        return []
    bias = net.constant(net.rng.normal(0, 0.3, outputs))
    net.biases[bias] = (x, weight)
    return [bias]
