"""Small classifiers in PyTorch, each with the structure of its namesake. Inputs are pictures, [N, 3, 64, 64]."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.producers.blocks import (
    Branches,
    Classifier,
    LayerScale,
    MeanClassifier,
    Residual,
    SqueezeExcitation,
    conv,
)

Activation = Callable[[], nn.Module]


def inverted(
    inputs: int,
    outputs: int,
    stride: int,
    expand: int = 4,
    act: Activation = nn.ReLU6,
    kernel: int = 3,
    squeeze: Callable[[int], nn.Module] | None = None,
) -> nn.Module:
    """An inverted residual block of MobileNetV2; with squeeze-and-excitation, of MobileNetV3 and EfficientNet."""
    middle = inputs * expand
    branch = nn.Sequential(
        conv(inputs, middle, 1, act=act),
        conv(middle, middle, kernel, stride, middle, act=act),
        *([squeeze(middle)] if squeeze else []),
        conv(middle, outputs, 1, act=None),
    )
    return Residual(branch) if stride == 1 and inputs == outputs else branch


def mobilenet_v2(act: Activation = nn.ReLU6) -> nn.Module:
    """MobileNetV2 with five blocks."""
    return Classifier(
        nn.Sequential(
            conv(3, 8, 3, 2, act=act),
            inverted(8, 8, 1, 1, act),
            inverted(8, 16, 2, act=act),
            inverted(16, 16, 1, act=act),
            inverted(16, 24, 2, act=act),
            inverted(24, 24, 1, act=act),
            conv(24, 64, 1, act=act),
        ),
        64,
    )


def mobilenet_v3() -> nn.Module:
    """MobileNetV3: hard swish, squeeze-and-excitation with a hard sigmoid, a classifier of two layers."""

    def squeeze(channels: int) -> nn.Module:
        return SqueezeExcitation(channels, gate=nn.Hardsigmoid)

    features = nn.Sequential(
        conv(3, 8, 3, 2, act=nn.Hardswish),
        inverted(8, 8, 1, 2, nn.ReLU, squeeze=squeeze),
        inverted(8, 16, 2, act=nn.ReLU),
        inverted(16, 16, 1, 4, nn.Hardswish, 5, squeeze),
        inverted(16, 24, 2, act=nn.Hardswish),
        conv(24, 48, 1, act=nn.Hardswish),
    )
    return nn.Sequential(
        features,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(48, 64),
        nn.Hardswish(),
        nn.Dropout(0.2),
        nn.Linear(64, 10),
    )


def efficientnet() -> nn.Module:
    """EfficientNet: SiLU and squeeze-and-excitation."""

    def squeeze(channels: int) -> nn.Module:
        return SqueezeExcitation(channels, act=nn.SiLU)

    return Classifier(
        nn.Sequential(
            conv(3, 8, 3, 2, act=nn.SiLU),
            inverted(8, 8, 1, 1, nn.SiLU, 3, squeeze),
            inverted(8, 16, 2, 4, nn.SiLU, 5, squeeze),
            inverted(16, 16, 1, 4, nn.SiLU, 5, squeeze),
            conv(16, 48, 1, act=nn.SiLU),
        ),
        48,
    )


def bottleneck(
    inputs: int, outputs: int, stride: int = 1, groups: int = 1, act: Activation = nn.ReLU, squeeze: bool = False
) -> nn.Module:
    """A bottleneck block of ResNet; with groups, of ResNeXt and RegNet."""
    middle = outputs // 2
    branch = nn.Sequential(
        conv(inputs, middle, 1, act=act),
        conv(middle, middle, 3, stride, groups, act=act),
        *([SqueezeExcitation(middle)] if squeeze else []),
        conv(middle, outputs, 1, act=None),
    )
    shortcut = None if stride == 1 and inputs == outputs else conv(inputs, outputs, 1, stride, act=None)
    return Residual(branch, shortcut, act)


def resnet(act: Activation = nn.ReLU) -> nn.Module:
    """ResNet with bottlenecks."""
    return Classifier(
        nn.Sequential(
            conv(3, 16, 7, 2, act=act),
            nn.MaxPool2d(3, 2, 1),
            bottleneck(16, 32, act=act),
            bottleneck(32, 32, act=act),
            bottleneck(32, 64, 2, act=act),
        ),
        64,
    )


def regnet() -> nn.Module:
    """RegNetY: grouped bottlenecks with squeeze-and-excitation."""
    return Classifier(
        nn.Sequential(
            conv(3, 16, 3, 2),
            bottleneck(16, 32, 2, 4, squeeze=True),
            bottleneck(32, 32, 1, 4, squeeze=True),
            bottleneck(32, 64, 2, 4, squeeze=True),
        ),
        64,
    )


class ShuffleUnit(nn.Module):
    """A unit of ShuffleNetV2: split, a branch, concatenation, and a shuffle of the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        start = inputs if stride > 1 else half
        self.stride = stride
        self.branch = nn.Sequential(conv(start, half, 1), conv(half, half, 3, stride, half, act=None), conv(half, half, 1))
        self.other = (
            nn.Sequential(conv(inputs, inputs, 3, stride, inputs, act=None), conv(inputs, half, 1)) if stride > 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.other is None:
            kept, rest = x.chunk(2, dim=1)
            x = torch.cat((kept, self.branch(rest)), 1)
        else:
            x = torch.cat((self.other(x), self.branch(x)), 1)
        batch, channels, height, width = x.shape
        return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def shufflenet_v2() -> nn.Module:
    """ShuffleNetV2 with four units."""
    return MeanClassifier(
        nn.Sequential(
            conv(3, 8, 3, 2),
            nn.MaxPool2d(3, 2, 1),
            ShuffleUnit(8, 24, 2),
            ShuffleUnit(24, 24, 1),
            ShuffleUnit(24, 48, 2),
            ShuffleUnit(48, 48, 1),
            conv(48, 64, 1),
        ),
        64,
    )


def squeezenet() -> nn.Module:
    """SqueezeNet: Fire modules, pooling with ceil_mode, the classes from a convolution."""

    def fire(inputs: int, squeeze: int, expand: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, squeeze, 1),
            nn.ReLU(),
            Branches(
                nn.Sequential(nn.Conv2d(squeeze, expand, 1), nn.ReLU()),
                nn.Sequential(nn.Conv2d(squeeze, expand, 3, padding=1), nn.ReLU()),
            ),
        )

    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        fire(16, 8, 16),
        fire(32, 8, 16),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        fire(32, 8, 24),
        nn.Dropout(),
        nn.Conv2d(48, 10, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def densenet() -> nn.Module:
    """DenseNet: normalization before convolutions, concatenations, transitions with AveragePool."""

    def layer(inputs: int) -> nn.Module:
        return Branches(
            nn.Sequential(
                nn.BatchNorm2d(inputs),
                nn.ReLU(),
                nn.Conv2d(inputs, 16, 1, bias=False),
                nn.BatchNorm2d(16),
                nn.ReLU(),
                nn.Conv2d(16, 8, 3, padding=1, bias=False),
            ),
            keep=True,
        )

    return Classifier(
        nn.Sequential(
            conv(3, 16, 3, 2),
            nn.MaxPool2d(3, 2, 1),
            layer(16),
            layer(24),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 16, 1, bias=False),
            nn.AvgPool2d(2),
            layer(16),
            layer(24),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        ),
        32,
    )


def inception() -> nn.Module:
    """Inception: branches of several kernels, asymmetric ones too, and of poolings; a Softmax at the end."""
    block = Branches(
        conv(16, 8, 1),
        nn.Sequential(conv(16, 8, 1), conv(8, 8, (1, 7)), conv(8, 8, (7, 1))),
        nn.Sequential(conv(16, 8, 1), conv(8, 8, 5)),
        nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(16, 8, 1)),
    )
    reduction = Branches(conv(32, 16, 3, 2), nn.MaxPool2d(3, 2, 1))
    return Classifier(
        nn.Sequential(conv(3, 16, 3, 2), nn.MaxPool2d(3, 2, ceil_mode=True), block, reduction), 48, nn.Softmax(1)
    )


def vgg() -> nn.Module:
    """VGG: convolutions with bias, MaxPool, a classifier of matrix products on the flattened map."""
    layers: list[nn.Module] = []
    channels = 3
    for outputs in (8, 16, 32):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        ]
        channels = outputs
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 10)
    )


class CrossStage(nn.Module):
    """A cross-stage partial block: one half of the channels passes the residual blocks, the other goes around."""

    def __init__(self, channels: int, act: Activation) -> None:
        super().__init__()
        half = channels // 2
        self.first, self.second = conv(channels, half, 1, act=act), conv(channels, half, 1, act=act)
        self.blocks = nn.Sequential(
            *(Residual(nn.Sequential(conv(half, half, 1, act=act), conv(half, half, 3, act=act))) for _ in "12")
        )
        self.last = conv(channels, channels, 1, act=act)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat((self.blocks(self.first(x)), self.second(x)), 1))


def cspnet(act: Activation = nn.LeakyReLU) -> nn.Module:
    """CSPDarknet with LeakyReLU, or Mish."""
    return Classifier(
        nn.Sequential(
            conv(3, 8, 3, 2, act=act),
            conv(8, 16, 3, 2, act=act),
            CrossStage(16, act),
            conv(16, 32, 3, 2, act=act),
            CrossStage(32, act),
        ),
        32,
    )


class Ghost(nn.Module):
    """A Ghost module: half of the channels from a convolution, the others from a depthwise one of them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        half = (outputs + 1) // 2
        self.first, self.cheap = conv(inputs, half, 1), conv(half, half, 3, 1, half)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return torch.cat([first, self.cheap(first)], 1)[:, : self.outputs]


def ghostnet() -> nn.Module:
    """GhostNet: Ghost modules with an odd number of channels, which a Slice cuts."""
    return Classifier(
        nn.Sequential(
            conv(3, 8, 3, 2),
            Ghost(8, 15),
            SqueezeExcitation(15, gate=nn.Hardsigmoid),
            conv(15, 15, 3, 2, 15),
            Ghost(15, 32),
            conv(32, 32, 3, 2, 32),
            Ghost(32, 32),
        ),
        32,
    )


class ConvNextBlock(nn.Module):
    """A block of ConvNeXt: depthwise 7x7, LayerNorm over the channels, two products with GELU, layer scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.first, self.second = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.rand(channels))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.second(functional.gelu(self.first(y)))
        return x + y.permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    """ConvNeXt."""
    return Classifier(
        nn.Sequential(nn.Conv2d(3, 16, 4, 4), ConvNextBlock(16), nn.Conv2d(16, 32, 2, 2), ConvNextBlock(32)), 32
    )


def layer_scale() -> nn.Module:
    """Residual blocks with depthwise convolutions, GELU and layer scale, and batch normalization."""

    def block(channels: int) -> nn.Module:
        return Residual(
            nn.Sequential(
                conv(channels, channels, 7, 1, channels, act=None),
                nn.Conv2d(channels, 2 * channels, 1),
                nn.GELU(),
                nn.Conv2d(2 * channels, channels, 1),
                LayerScale(channels),
            )
        )

    return MeanClassifier(nn.Sequential(nn.Conv2d(3, 16, 4, 4), block(16), conv(16, 32, 3, 2, act=nn.GELU), block(32)), 32)


def normalized(norm: Callable[[int], nn.Module]) -> nn.Module:
    """Convolutions with a normalization other than batch normalization."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 8), (8, 16), (16, 32)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), norm(outputs), nn.ReLU()]
    return Classifier(nn.Sequential(*layers), 32)


CLASSIFIERS: dict[str, Callable[[], nn.Module]] = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3": mobilenet_v3,
    "efficientnet": efficientnet,
    "resnet": resnet,
    "resnet_prelu": lambda: resnet(nn.PReLU),
    "resnet_elu": lambda: resnet(nn.ELU),
    "regnet": regnet,
    "shufflenet_v2": shufflenet_v2,
    "squeezenet": squeezenet,
    "densenet": densenet,
    "inception": inception,
    "vgg": vgg,
    "cspnet": cspnet,
    "cspnet_mish": lambda: cspnet(nn.Mish),
    "cspnet_silu": lambda: cspnet(nn.SiLU),
    "ghostnet": ghostnet,
    "convnext": convnext,
    "layer_scale": layer_scale,
    "mobilenet_gelu": lambda: mobilenet_v2(nn.GELU),
    "group_norm": lambda: normalized(lambda channels: nn.GroupNorm(4, channels)),
    "instance_norm": lambda: normalized(lambda channels: nn.InstanceNorm2d(channels, affine=True)),
}
