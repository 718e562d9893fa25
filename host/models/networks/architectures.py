"""SSD300 on VGG-16 (Liu et al., 2015): six maps of boxes, the first behind an L2 normalization over channels."""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from arrayloom.host.models.networks.architectures.blueprint import Blueprint
from arrayloom.host.models.networks.architectures.builder import Builder, Pads, Value
from arrayloom.host.models.networks.architectures.vgg import STAGES, convolutions

BACKBONE = "backbone"
SCALE = f"{BACKBONE}.scale_weight"
GRIDS = (38, 37)
BOXES = (4, 6, 6, 6, 4, 4)
"""Boxes at each position of the six maps."""

NORMALIZED = "l2"
"""Name of the normalized map."""

LABELS = ("classes", "boxes")
"""Of the outputs, each followed by the number of its map."""

CLASSES = 21
"""The 20 of Pascal VOC behind the background."""


class _Extra(NamedTuple):
    """A 1x1 convolution to ``squeeze`` channels, then a 3x3 one to ``channels``."""

    squeeze: int
    channels: int
    stride: int
    padding: int


_EXTRAS = (_Extra(256, 512, 2, 1), _Extra(128, 256, 2, 1), _Extra(128, 256, 1, 0), _Extra(128, 256, 1, 0))


def ssd_vgg(classes: int = CLASSES, grid: int = GRIDS[0]) -> Blueprint:
    """[N, 3, 300, 300] to six maps of class logits [N, boxes * classes, H, W] and six of boxes [N, boxes * 4, H, W].

    ``grid``: side of the first map. 38, the usual SSD300, rounds up in the third pooling, 37 rounds down. The scale
    [512] behind the L2 normalization multiplies the weights of the two convolutions that read it.
    """
    b = Builder("ssd_vgg", 300, 300)
    conv4_3 = _conv4_3(b, grid)
    maps = [l2_normalize(b, conv4_3), *_deeper_maps(b, conv4_3)]
    outputs = []
    for kind, label, depth in (("classification", LABELS[0], classes), ("regression", LABELS[1], 4)):
        for place, (x, boxes) in enumerate(zip(maps, BOXES, strict=True)):
            head = b.conv(x, f"head.{kind}_head.module_list.{place}", boxes * depth, 3, padding=1,
                          scaled_by=SCALE if place == 0 else None)
            outputs.append((output_name(label, place), head))
    return b.finish(outputs, None, None, [ones(conv4_3.channels), numpy_helper.from_array(np.array(2, np.float32), "two")])


def output_name(label: str, place: int) -> str:
    return f"{label}_{place}"


def _conv4_3(b: Builder, grid: int) -> Value:
    x, position = b.image, 0
    for stage, widths in enumerate(STAGES[:4]):
        x, position = convolutions(b, x, widths, f"{BACKBONE}.features", position)
        if stage < 3:
            pads: Pads = (0, 0, 1, 1) if stage == 2 and grid == GRIDS[0] else (0, 0, 0, 0)
            x = b.max_pool(x, f"{BACKBONE}.features.{position}", 2, 2, pads)
            position += 1
    return x


def _deeper_maps(b: Builder, conv4_3: Value) -> list[Value]:
    """fc7, whose fc6 is a dilated convolution, and the extra maps."""
    extra = f"{BACKBONE}.extra"
    odd = conv4_3.shape[1] % 2
    x = b.max_pool(conv4_3, f"{extra}.0.0", 2, 2, (0, 0, odd, odd))
    x, position = convolutions(b, x, STAGES[4], f"{extra}.0", 1)
    x = b.max_pool(x, f"{extra}.0.{position}.0", 3, 1, (1, 1, 1, 1))
    x = b.relu(b.conv(x, f"{extra}.0.{position}.1", 1024, 3, padding=6, dilation=6))
    x = b.relu(b.conv(x, f"{extra}.0.{position}.3", 1024, 1))
    maps = [x]
    for number, each in enumerate(_EXTRAS, 1):
        x = b.relu(b.conv(x, f"{extra}.{number}.0", each.squeeze, 1))
        x = b.relu(b.conv(x, f"{extra}.{number}.2", each.channels, 3, stride=each.stride, padding=each.padding))
        maps.append(x)
    return maps


def l2_normalize(b: Builder, x: Value) -> Value:
    """x / sqrt(sum over channels of x**2), of operators that become integer ones.

    A table of squares, a 1x1 convolution with ones as the sum, a table of reciprocal roots, a broadcast product.
    """
    position = (1, *x.shape[1:])
    squares = b.function("Pow", "l2.squares", [x.name, "two"], x.shape)
    total = b.function("Conv", "l2.sum", [squares.name, "ones"], position)
    root = b.function("Sqrt", "l2.norm", [total.name], position)
    inverse = b.function("Reciprocal", "l2.inverse", [root.name], position)
    return b.function("Mul", NORMALIZED, [x.name, inverse.name], x.shape)


def ones(channels: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones((1, channels, 1, 1), np.float32), "ones")
