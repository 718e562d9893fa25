"""Movements that mix channels, rows and columns, and padding that repeats the image."""

from math import prod

import numpy as np

from .movement import padding_operand
from .sketch import Sketch, Value

WRAP_OPSET = 19  # the first operator set whose Pad can wrap around


def deepen(sketch: Sketch, x: Value) -> Value | None:
    """Blocks of pixels to channels, by SpaceToDepth or as PyTorch exports a pixel unshuffle."""
    if x.spatial != 2 or not x.is_image:
        return None
    channels, height, width = x.shape
    if height % 2 or width % 2:
        return None
    apart = x.sample.reshape(channels, height // 2, 2, width // 2, 2)
    if sketch.draw.chance(0.5):
        name = sketch.node("SpaceToDepth", [x.name], blocksize=2)
        moved = apart.transpose(2, 4, 0, 1, 3)
    else:
        shapes = [[0, *apart.shape], [0, channels * 4, height // 2, width // 2]]
        name = _reshaped_around(sketch, x.name, shapes, [0, 1, 3, 5, 2, 4])
        moved = apart.transpose(0, 2, 4, 1, 3)
    return sketch.value(name, moved.reshape(channels * 4, height // 2, width // 2), x.scale, x.zero)


def flatten_blocks(sketch: Sketch, x: Value) -> Value | None:
    """Channels to blocks of pixels, by DepthToSpace or as PyTorch exports a pixel shuffle."""
    if x.spatial != 2 or not x.is_image or x.shape[0] % 4:
        return None
    channels, height, width = x.shape[0] // 4, *x.shape[1:]
    mode = sketch.draw.pick(["DCR", "CRD", "reshapes"])
    if mode == "DCR":
        moved = x.sample.reshape(2, 2, channels, height, width).transpose(2, 3, 0, 4, 1)
    else:
        moved = x.sample.reshape(channels, 2, 2, height, width).transpose(0, 3, 1, 4, 2)
    if mode == "reshapes":
        shapes = [[0, channels, 2, 2, height, width], [0, channels, 2 * height, 2 * width]]
        name = _reshaped_around(sketch, x.name, shapes, [0, 1, 4, 2, 5, 3])
    else:
        name = sketch.node("DepthToSpace", [x.name], blocksize=2, mode=mode)
    return sketch.value(name, moved.reshape(channels, 2 * height, 2 * width), x.scale, x.zero)


def _reshaped_around(sketch: Sketch, x: str, shapes: list[list[int]], order: list[int]) -> str:
    apart, together = (sketch.constant("shape", np.array(shape)) for shape in shapes)
    moved = sketch.node("Transpose", [sketch.node("Reshape", [x, apart])], perm=order)
    return sketch.node("Reshape", [moved, together])


def fold(sketch: Sketch, x: Value) -> Value | None:
    """Reshapes the pixels of each channel to rows of another length."""
    if x.spatial != 2 or not x.is_image:
        return None
    area = prod(x.shape[1:])
    width = sketch.draw.pick([extent for extent in range(1, area + 1) if area % extent == 0])
    shape = (x.shape[0], area // width, width)
    name = sketch.node("Reshape", [x.name, sketch.constant("shape", np.array([0, *shape]))])
    return sketch.value(name, x.sample.reshape(shape), x.scale, x.zero)


def repeat_border(sketch: Sketch, x: Value) -> Value | None:
    """Pad by the edge, by reflection or by wrapping around."""
    if x.spatial < 1 or not x.is_image:
        return None
    draw = sketch.draw
    mode = draw.pick(["edge", "reflect", "wrap"] if sketch.opset >= WRAP_OPSET else ["edge", "reflect"])
    most = [min(3, extent - 1) for extent in x.shape[1:]]
    pads = [(0, 0), *((draw.integer(0, extent), draw.integer(0, extent)) for extent in most)]
    sample = np.pad(x.sample, pads, mode=mode)
    if sample.size > sketch.room:
        return None
    return sketch.value(sketch.node("Pad", [x.name, padding_operand(sketch, pads)], mode=mode), sample, x.scale, x.zero)
