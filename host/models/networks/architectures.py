"""The five networks, with the same layers and parameter names as in torchvision.

ResNet-50 and ResNet-152 (He et al., 2015) in version 1.5, where a block strides in its 3x3 convolution; DenseNet-121 (Huang
et al., 2016), where normalization and Relu come before each convolution; VGG-16 (Simonyan and Zisserman, 2014),
configuration D; SSD300 on VGG-16 (Liu et al., 2015), six maps of boxes, the first after an L2 normalization over channels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from arrayloom.host.models.networks.blueprint import Blueprint, Builder, Pads, Value

RESNET_EXPANSION = 4
"""Ratio of a block's output channels to those of its 3x3 convolution."""

RESNET_STAGES = {50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
"""Blocks of each stage by the number of layers."""


def resnet(layers: int, classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [2048, 1, 1]."""
    b = Builder(f"resnet{layers}", 224, 224)
    x = b.conv(b.image, "conv1", 64, 7, stride=2, padding=3, bias=False)
    x = b.relu(b.batch_norm(x, "bn1"))
    x = b.max_pool(x, "maxpool", 3, 2, (1, 1, 1, 1))
    for stage, blocks in enumerate(RESNET_STAGES[layers]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _bottleneck(b, x, f"layer{stage + 1}.{block}", 64 << stage, stride)
    features = b.global_average_pool(x, "avgpool")
    logits = b.linear(b.flatten(features, "flatten"), "fc", classes)
    return b.finish([("logits", logits)], features, "fc")


def _bottleneck(b: Builder, x: Value, name: str, width: int, stride: int) -> Value:
    y = b.relu(b.batch_norm(b.conv(x, f"{name}.conv1", width, 1, bias=False), f"{name}.bn1"))
    y = b.conv(y, f"{name}.conv2", width, 3, stride=stride, padding=1, bias=False)
    y = b.relu(b.batch_norm(y, f"{name}.bn2"))
    y = b.batch_norm(b.conv(y, f"{name}.conv3", RESNET_EXPANSION * width, 1, bias=False), f"{name}.bn3")
    if stride > 1 or x.channels != y.channels:
        x = b.conv(x, f"{name}.downsample.0", RESNET_EXPANSION * width, 1, stride=stride, bias=False)
        x = b.batch_norm(x, f"{name}.downsample.1")
    return b.relu(b.add(y, x, f"{name}.add"))


DENSENET_BLOCKS = (6, 12, 24, 16)
DENSENET_GROWTH = 32
DENSENET_BOTTLENECK = 4 * DENSENET_GROWTH


def densenet121(classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [1024, 1, 1]."""
    b = Builder("densenet121", 224, 224)
    x = b.conv(b.image, "features.conv0", 64, 7, stride=2, padding=3, bias=False)
    x = b.relu(b.batch_norm(x, "features.norm0"))
    x = b.max_pool(x, "features.pool0", 3, 2, (1, 1, 1, 1))
    for number, layers in enumerate(DENSENET_BLOCKS, 1):
        x = _dense_block(b, x, f"features.denseblock{number}", layers)
        if number < len(DENSENET_BLOCKS):
            x = _transition(b, x, f"features.transition{number}")
    x = b.relu(b.batch_norm(x, "features.norm5"))
    features = b.global_average_pool(x, "avgpool")
    logits = b.linear(b.flatten(features, "flatten"), "classifier", classes)
    return b.finish([("logits", logits)], features, "classifier")


def _dense_block(b: Builder, x: Value, name: str, layers: int) -> Value:
    """Every layer reads the concatenation of the block's input and all layers before it."""
    parts = [x]
    for number in range(1, layers + 1):
        prefix = f"{name}.denselayer{number}"
        y = b.concat(parts, f"{prefix}.input") if len(parts) > 1 else x
        y = b.conv(b.relu(b.batch_norm(y, f"{prefix}.norm1")), f"{prefix}.conv1", DENSENET_BOTTLENECK, 1, bias=False)
        y = b.relu(b.batch_norm(y, f"{prefix}.norm2"))
        parts.append(b.conv(y, f"{prefix}.conv2", DENSENET_GROWTH, 3, padding=1, bias=False))
    return b.concat(parts, f"{name}.output")


def _transition(b: Builder, x: Value, name: str) -> Value:
    y = b.relu(b.batch_norm(x, f"{name}.norm"))
    y = b.conv(y, f"{name}.conv", x.channels // 2, 1, bias=False)
    return b.average_pool(y, f"{name}.pool", 2, 2)


VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the 3x3 convolutions of each stage; a 2x2 pooling ends a stage."""


def vgg16(classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [4096], after fc7's Relu."""
    b = Builder("vgg16", 224, 224)
    x, position = b.image, 0
    for widths in VGG_STAGES:
        x, position = _convolutions(b, x, widths, "features", position)
        x = b.max_pool(x, f"features.{position}", 2, 2)
        position += 1
    x = b.relu(b.linear(b.flatten(x, "flatten"), "classifier.0", 4096))
    features = b.relu(b.linear(x, "classifier.3", 4096))
    logits = b.linear(features, "classifier.6", classes)
    return b.finish([("logits", logits)], features, "classifier.6")


def _convolutions(b: Builder, x: Value, widths: Sequence[int], prefix: str, position: int) -> tuple[Value, int]:
    """3x3 convolutions, each with its Relu; ``position``: index of the first one in the sequential module ``prefix``.

    Returns the value and the position after the last Relu.
    """
    for width in widths:
        x = b.relu(b.conv(x, f"{prefix}.{position}", width, 3, padding=1))
        position += 2
    return x, position


SSD_BACKBONE = "backbone"
SSD_SCALE = f"{SSD_BACKBONE}.scale_weight"
SSD_GRIDS = (38, 37)
SSD_BOXES = (4, 6, 6, 6, 4, 4)
"""Boxes at each position of the six maps."""

SSD_NORMALIZED = "l2"
"""Name of the normalized map."""

SSD_OUTPUT_LABELS = ("classes", "boxes")
"""Prefixes of the output names; the number of the map follows."""

SSD_CLASSES = 21
"""Number of classes: the background and the 20 of Pascal VOC."""


class _SsdExtra(NamedTuple):
    """A 1x1 convolution to ``squeeze`` channels, then a 3x3 one to ``channels``."""

    squeeze: int
    channels: int
    stride: int
    padding: int


_SSD_EXTRAS = (_SsdExtra(256, 512, 2, 1), _SsdExtra(128, 256, 2, 1), _SsdExtra(128, 256, 1, 0), _SsdExtra(128, 256, 1, 0))


def ssd_vgg(classes: int = SSD_CLASSES, grid: int = SSD_GRIDS[0]) -> Blueprint:
    """[N, 3, 300, 300] to six maps of class logits [N, boxes * classes, H, W] and six of boxes [N, boxes * 4, H, W].

    ``grid``: side of the first map. 38, the usual SSD300, rounds up in the third pooling, 37 rounds down. The scale
    [512] after the L2 normalization multiplies the weights of the two convolutions that read it.
    """
    b = Builder("ssd_vgg", 300, 300)
    conv4_3 = _conv4_3(b, grid)
    maps = [l2_normalize(b, conv4_3), *_deeper_maps(b, conv4_3)]
    outputs = []
    for kind, label, depth in (("classification", SSD_OUTPUT_LABELS[0], classes), ("regression", SSD_OUTPUT_LABELS[1], 4)):
        for place, (x, boxes) in enumerate(zip(maps, SSD_BOXES, strict=True)):
            head = b.conv(x, f"head.{kind}_head.module_list.{place}", boxes * depth, 3, padding=1,
                          scaled_by=SSD_SCALE if place == 0 else None)
            outputs.append((ssd_output_name(label, place), head))
    return b.finish(outputs, None, None, [ones(conv4_3.channels), numpy_helper.from_array(np.array(2, np.float32), "two")])


def ssd_output_name(label: str, place: int) -> str:
    return f"{label}_{place}"


def _conv4_3(b: Builder, grid: int) -> Value:
    x, position = b.image, 0
    for stage, widths in enumerate(VGG_STAGES[:4]):
        x, position = _convolutions(b, x, widths, f"{SSD_BACKBONE}.features", position)
        if stage < 3:
            pads: Pads = (0, 0, 1, 1) if stage == 2 and grid == SSD_GRIDS[0] else (0, 0, 0, 0)
            x = b.max_pool(x, f"{SSD_BACKBONE}.features.{position}", 2, 2, pads)
            position += 1
    return x


def _deeper_maps(b: Builder, conv4_3: Value) -> list[Value]:
    """fc7, whose fc6 is a dilated convolution, and the extra maps."""
    extra = f"{SSD_BACKBONE}.extra"
    odd = conv4_3.shape[1] % 2
    x = b.max_pool(conv4_3, f"{extra}.0.0", 2, 2, (0, 0, odd, odd))
    x, position = _convolutions(b, x, VGG_STAGES[4], f"{extra}.0", 1)
    x = b.max_pool(x, f"{extra}.0.{position}.0", 3, 1, (1, 1, 1, 1))
    x = b.relu(b.conv(x, f"{extra}.0.{position}.1", 1024, 3, padding=6, dilation=6))
    x = b.relu(b.conv(x, f"{extra}.0.{position}.3", 1024, 1))
    maps = [x]
    for number, each in enumerate(_SSD_EXTRAS, 1):
        x = b.relu(b.conv(x, f"{extra}.{number}.0", each.squeeze, 1))
        x = b.relu(b.conv(x, f"{extra}.{number}.2", each.channels, 3, stride=each.stride, padding=each.padding))
        maps.append(x)
    return maps


def l2_normalize(b: Builder, x: Value) -> Value:
    """x / sqrt(sum over channels of x**2), built from operators that can be quantized.

    That is a lookup table of squares, a 1x1 convolution with weights of one as the sum, a lookup table of reciprocal square
    roots, and a broadcast product.
    """
    position = (1, *x.shape[1:])
    squares = b.function("Pow", "l2.squares", [x.name, "two"], x.shape)
    total = b.function("Conv", "l2.sum", [squares.name, "ones"], position)
    root = b.function("Sqrt", "l2.norm", [total.name], position)
    inverse = b.function("Reciprocal", "l2.inverse", [root.name], position)
    return b.function("Mul", SSD_NORMALIZED, [x.name, inverse.name], x.shape)


def ones(channels: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones((1, channels, 1, 1), np.float32), "ones")
