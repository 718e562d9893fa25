"""Layers shared by the small networks, in PyTorch."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 3,
    stride: int = 1,
    groups: int = 1,
    dilation: int = 1,
    act: Callable[[], nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """Convolution with padding that keeps the size at stride 1, batch normalization and an activation."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple(dilation * (side // 2) for side in sides)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, sides, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    """The sum of a branch and a shortcut, and an activation of the sum."""

    def __init__(
        self, branch: nn.Module, shortcut: nn.Module | None = None, act: Callable[[], nn.Module] = nn.Identity
    ) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut or nn.Identity()
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.branch(x) + self.shortcut(x))


class Branches(nn.Module):
    """The concatenation of branches over the channels; `keep` puts the input first, as in DenseNet."""

    def __init__(self, *branches: nn.Module, keep: bool = False) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*([x] if self.keep else []), *(branch(x) for branch in self.branches)], 1)


class SqueezeExcitation(nn.Module):
    """A factor for each channel, computed from the means of all channels."""

    def __init__(
        self, channels: int, act: Callable[[], nn.Module] = nn.ReLU, gate: Callable[[], nn.Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 4, 1)
        self.fc2 = nn.Conv2d(channels // 4, channels, 1)
        self.act, self.gate = act(), gate()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True)))))


class LayerScale(nn.Module):
    """A factor for each channel, learned, [1, C, 1, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(1, channels, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Upsample(nn.Module):
    """Resize to twice the size."""

    def __init__(self, mode: str = "nearest", align: bool | None = None) -> None:
        super().__init__()
        self.mode, self.align = mode, align

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=2.0, mode=self.mode, align_corners=self.align)


class Classifier(nn.Sequential):
    """Features, their mean over the map, and a matrix product for 10 classes."""

    def __init__(self, features: nn.Module, channels: int, *last: nn.Module) -> None:
        super().__init__(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10), *last)


class MeanClassifier(nn.Module):
    """The same with `mean`, the form of pooling in timm and many others."""

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features, self.fc = features, nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean([2, 3]))
