"""ResNet-50 and ResNet-152 (He et al., 2015), v1.5: a block strides in its 3x3 convolution."""

from arrayloom.host.models.networks.architectures.blueprint import Blueprint
from arrayloom.host.models.networks.architectures.builder import Builder, Value

EXPANSION = 4
"""A block's output channels over those of its 3x3 convolution."""

STAGES = {50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}
"""Blocks of each stage by the number of layers."""


def resnet(layers: int, classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [2048, 1, 1]."""
    b = Builder(f"resnet{layers}", 224, 224)
    x = b.conv(b.image, "conv1", 64, 7, stride=2, padding=3, bias=False)
    x = b.relu(b.batch_norm(x, "bn1"))
    x = b.max_pool(x, "maxpool", 3, 2, (1, 1, 1, 1))
    for stage, blocks in enumerate(STAGES[layers]):
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
    y = b.batch_norm(b.conv(y, f"{name}.conv3", EXPANSION * width, 1, bias=False), f"{name}.bn3")
    if stride > 1 or x.channels != y.channels:
        x = b.conv(x, f"{name}.downsample.0", EXPANSION * width, 1, stride=stride, bias=False)
        x = b.batch_norm(x, f"{name}.downsample.1")
    return b.relu(b.add(y, x, f"{name}.add"))
