"""Blocks of several nodes: residual blocks, parallel branches, dense connections."""

import numpy as np

from .elementwise import can_add, clip, join, relu, residual
from .islands import island
from .matrix import convolution
from .sketch import Sketch, Value
from .windows import draw_same


def residual_block(sketch: Sketch, x: Value) -> Value | None:
    """One or two convolutions in parallel to a skip (x itself or a projection), then their sum, in either order."""
    draw = sketch.draw
    if x.spatial < 1 or not x.is_image:
        return None
    channels = x.shape[0] if draw.chance(0.7) else draw.channels(24)
    inner = convolution(sketch, x, draw_same(draw, x.shape[1:]), channels)
    if inner is not None and draw.chance(0.4):
        inner = _function(sketch, inner)
        inner = convolution(sketch, inner, draw_same(draw, x.shape[1:]), channels)
    if inner is None:
        return None
    skip = x if channels == x.shape[0] else convolution(sketch, x, draw_same(draw, x.shape[1:]), channels)
    if skip is None or not can_add(inner, skip):
        return inner
    return _function(sketch, residual(sketch, inner, skip))


def branches(sketch: Sketch, x: Value) -> Value | None:
    """Two or three branches over the same pixels, concatenated; one of them may be x itself."""
    draw = sketch.draw
    if x.spatial < 1 or not x.is_image:
        return None
    parts = [_branch(sketch, x) for _ in range(draw.integer(2, 3))]
    found = [part for part in parts if part is not None]
    return join(sketch, found) if len(found) > 1 else None


def dense_connection(sketch: Sketch, x: Value) -> Value | None:
    """A convolution of x concatenated with x."""
    inner = None
    if x.spatial >= 1 and x.is_image:
        inner = convolution(sketch, x, draw_same(sketch.draw, x.shape[1:]), sketch.draw.channels(12))
    if inner is None:
        return None
    return join(sketch, [x, inner] if sketch.draw.chance(0.7) else [inner, x])


def _branch(sketch: Sketch, x: Value) -> Value | None:
    kind = sketch.draw.pick(["convolution", "pooling", "itself"], [5, 2, 1])
    if kind == "itself":
        return x
    windows = draw_same(sketch.draw, x.shape[1:])
    if kind == "convolution":
        return convolution(sketch, x, windows, sketch.draw.channels(16))
    patches = windows.gather(x.sample, -np.inf).reshape(*x.shape, -1)
    name = sketch.node("MaxPool", [x.name], **windows.attributes)
    return sketch.value(name, patches.max(axis=-1).astype(x.dtype), x.scale, x.zero)


def _function(sketch: Sketch, x: Value) -> Value:
    """Optional function after a convolution or a sum: a bound or a float function."""
    kind = sketch.draw.pick(["none", "bound", "island"], [5, 3, 1])
    if kind == "bound":
        return relu(sketch, x) or clip(sketch, x) or x
    if kind == "island" and x.dtype == np.int8:
        return _rectified(sketch, x)
    return x


def _rectified(sketch: Sketch, x: Value) -> Value:
    result = island(sketch, x)
    return result if result.shape == x.shape and result.dtype == x.dtype else x
