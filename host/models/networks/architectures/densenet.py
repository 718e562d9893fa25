"""DenseNet-121 (Huang et al., 2016): normalization and Relu come before each convolution."""

from arrayloom.host.models.networks.architectures.blueprint import Blueprint
from arrayloom.host.models.networks.architectures.builder import Builder, Value

BLOCKS = (6, 12, 24, 16)
GROWTH = 32
BOTTLENECK = 4 * GROWTH


def densenet121(classes: int = 1000) -> Blueprint:
    """[N, 3, 224, 224] to logits [N, classes]; features [1024, 1, 1]."""
    b = Builder("densenet121", 224, 224)
    x = b.conv(b.image, "features.conv0", 64, 7, stride=2, padding=3, bias=False)
    x = b.relu(b.batch_norm(x, "features.norm0"))
    x = b.max_pool(x, "features.pool0", 3, 2, (1, 1, 1, 1))
    for number, layers in enumerate(BLOCKS, 1):
        x = _dense_block(b, x, f"features.denseblock{number}", layers)
        if number < len(BLOCKS):
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
        y = b.conv(b.relu(b.batch_norm(y, f"{prefix}.norm1")), f"{prefix}.conv1", BOTTLENECK, 1, bias=False)
        y = b.relu(b.batch_norm(y, f"{prefix}.norm2"))
        parts.append(b.conv(y, f"{prefix}.conv2", GROWTH, 3, padding=1, bias=False))
    return b.concat(parts, f"{name}.output")


def _transition(b: Builder, x: Value, name: str) -> Value:
    y = b.relu(b.batch_norm(x, f"{name}.norm"))
    y = b.conv(y, f"{name}.conv", x.channels // 2, 1, bias=False)
    return b.average_pool(y, f"{name}.pool", 2, 2)
