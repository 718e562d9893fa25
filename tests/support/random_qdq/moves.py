"""Data movement: slices, concatenations, shuffles, padding, resizing, layouts."""

from collections.abc import Sequence

import numpy as np

from . import functions, products
from .float_network import FloatNetwork

LARGEST = 12    # size limit of enlarging, in pixels per side


def part(net: FloatNetwork, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
    """A Slice along one axis."""
    return net.node("Slice", [x, *(net.integers(value) for value in (start, end, axis, step))])


def parts(net: FloatNetwork, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
    """A Split along one axis, in a form of the operator set, or Slices."""
    if net.chance(0.25):
        ends = np.cumsum(sizes).tolist()
        return [part(net, x, axis, end - size, end) for size, end in zip(sizes, ends, strict=True)]
    shown = axis - len(net.shape(x)) if net.chance(0.3) else axis
    if len(set(sizes)) == 1 and net.chance(0.5):
        numbered = {"num_outputs": len(sizes)} if net.opset >= 18 else {}
        return net.split("Split", [x], len(sizes), axis=shown, **numbered)
    return net.split("Split", [x, net.integers(*sizes)], len(sizes), axis=shown)


def split_and_join(net: FloatNetwork, x: str) -> str:
    """Parts along some axis, one of them through a layer, joined in another order."""
    axes = [axis for axis in range(1, len(net.shape(x))) if net.shape(x)[axis] > 1]
    if not axes:
        return x
    axis = net.pick(axes)
    extent = net.shape(x)[axis]
    first = extent // 2 if extent % 2 == 0 and net.chance(0.5) else net.count(1, extent - 1)
    pieces = parts(net, x, axis, [first, extent - first])
    place = net.count(0, 1)
    pieces[place] = functions.activation(net, pieces[place])
    if net.chance(0.5):
        pieces.reverse()
    return net.node("Concat", pieces, axis=axis)


def join(net: FloatNetwork, x: str) -> str:
    """The value and a layer of it, or a constant, along the channels; along another axis with itself."""
    rank = len(net.shape(x))
    if net.chance(0.25) and max(net.shape(x)[2:], default=99) * 2 <= LARGEST:
        return net.node("Concat", [x, functions.activation(net, x)], axis=rank - 1)
    if net.shape(x)[1] > products.MOST_CHANNELS:
        return x
    if not net.open_batch and net.chance(0.2):
        constant = net.constant(net.rng.normal(0, 1, (1, net.count(1, 2), *net.shape(x)[2:])))
        return net.node("Concat", [x, constant] if net.chance(0.5) else [constant, x], axis=1)
    y = functions.layer(net, x, channels=net.count(1, 4), stride=1)
    if net.shape(y)[2:] != net.shape(x)[2:]:
        return y
    return net.node("Concat", [x, y] if net.chance(0.5) else [y, x, y], axis=1)


def cut(net: FloatNetwork, x: str) -> str:
    """A Slice along some axes, sometimes with a step."""
    axis = net.count(1, len(net.shape(x)) - 1)
    extent = net.shape(x)[axis]
    if extent < 3:
        return x
    start = net.count(0, 1)
    step = net.pick([1, 1, 2])
    return part(net, x, axis, start, extent if net.chance(0.5) else np.iinfo(np.int64).max, step) if net.chance(0.7) \
        else part(net, x, axis, -extent + start, -1)


def shuffle(net: FloatNetwork, x: str) -> str:
    """The channels of groups interleaved."""
    _, channels, *extents = net.shape(x)
    groups = [g for g in (2, 4) if channels % g == 0]
    if not groups:
        return x
    group, order = net.pick(groups), [0, 2, 1, *range(3, 3 + len(extents))]
    split = net.reshape(x, group, channels // group, *extents)
    return net.reshape(net.node("Transpose", [split], perm=order), -1, *extents)


def space_to_depth(net: FloatNetwork, x: str) -> str:
    """SpaceToDepth, or the Focus of YOLOv5, and a layer that makes few channels of it."""
    _, channels, height, width = net.shape(x)
    if height % 2 or width % 2 or channels > products.MOST_CHANNELS:
        return x
    if net.chance(0.5):
        y = net.node("SpaceToDepth", [x], blocksize=2)
    else:
        rows = [part(net, x, 2, start, 1 << 62, 2) for start in (0, 1)]
        y = net.node("Concat", [part(net, row, 3, start, 1 << 62, 2) for start in (0, 1) for row in rows], axis=1)
    return functions.layer(net, y)


def depth_to_space(net: FloatNetwork, x: str) -> str:
    """DepthToSpace after a convolution, as in super-resolution networks, or written as Reshape, Transpose, Reshape."""
    _, _, height, width = net.shape(x)
    if max(height, width) * 2 > LARGEST:
        return x
    channels = net.count(1, 2)
    y = products.conv(net, x, 4 * channels, 1, 1)
    if net.chance(0.7):
        return net.node("DepthToSpace", [y], blocksize=2, mode=net.pick(["DCR", "CRD"]))
    split = net.reshape(y, channels, 2, 2, height, width)
    turned = net.node("Transpose", [split], perm=[0, 1, 4, 2, 5, 3])
    return net.reshape(turned, channels, 2 * height, 2 * width)


def pad(net: FloatNetwork, x: str) -> str:
    """Padding of rows and columns by zero, another constant, the edge or a reflection."""
    extents = net.shape(x)[2:]
    mode = net.pick(["constant", "constant", "edge", "reflect"])
    if min(extents) < 2 or max(extents) >= LARGEST:
        return x
    begin, end = [net.count(0, 1) for _ in extents], [net.count(0, 1) for _ in extents]
    amounts = net.integers(0, 0, *begin, 0, 0, *end)
    value = [net.constant(net.pick([0.0, 0.0, 0.5]))] if mode == "constant" and net.chance(0.7) else []
    return net.node("Pad", [x, amounts, *value], mode=mode)


def resize(net: FloatNetwork, x: str) -> str:
    """Nearest or linear resizing, mostly to twice the size."""
    extents = net.shape(x)[2:]
    factor = net.pick([2, 2, 3])
    if max(extents) * factor > LARGEST:
        return x
    sizes = net.integers(1, net.shape(x)[1], *(factor * extent for extent in extents))
    scales = net.constant([1, 1, *[factor] * len(extents)])
    operands = [x, "", scales] if net.open_batch or net.chance(0.6) else [x, "", "", sizes]
    if net.chance(0.5):
        way = net.pick([("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")])
        return net.node("Resize", operands, mode="nearest", coordinate_transformation_mode=way[0], nearest_mode=way[1])
    way = net.pick(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])
    return net.node("Resize", operands, mode="linear", coordinate_transformation_mode=way)


def channels_last(net: FloatNetwork, x: str) -> str:
    """One operator between two Transposes, channels last, as in exports from TensorFlow."""
    rank = len(net.shape(x))
    turned = net.node("Transpose", [x], perm=[0, *range(2, rank), 1])
    channels = net.shape(x)[1]
    kind = net.pick(["activation", "constant", "join", "pad"])
    if kind == "activation":
        made = net.node(net.pick(["Relu", "Sigmoid", "Tanh"]), [turned])
    elif kind == "constant":
        made = net.node(net.pick(["Add", "Mul"]), [turned, net.constant(net.rng.uniform(0.5, 1.5, channels))])
    elif kind == "join" and channels <= products.MOST_CHANNELS:
        made = net.node("Concat", [turned, net.node("Relu", [turned])], axis=rank - 1)
    else:
        made = net.node("Pad", [turned, net.integers(0, *[1] * (rank - 2), 0, 0, *[0] * (rank - 2), 0)])
    return net.node("Transpose", [made], perm=[0, rank - 1, *range(1, rank - 1)])


BLOCKS = (split_and_join, join, join, cut, shuffle, pad, channels_last)
IMAGE_BLOCKS = (space_to_depth, depth_to_space, resize, resize, products.tokens)
