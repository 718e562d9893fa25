"""Small networks in PyTorch whose outputs are maps, boxes, pictures or vectors."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.producers.blocks import Branches, Residual, SqueezeExcitation, Upsample, conv
from benchmarks.producers.classifiers import CrossStage, inverted


class UNet(nn.Module):
    """U-Net with two levels; the way up by a transposed convolution, bilinear or nearest."""

    def __init__(self, up: str) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, 8), conv(8, 16), conv(16, 32)
        self.pool = nn.MaxPool2d(2)

        def rise(inputs: int, outputs: int) -> nn.Module:
            if up == "transposed":
                return nn.ConvTranspose2d(inputs, outputs, 2, 2)
            return nn.Sequential(Upsample(up, None if up == "nearest" else False), nn.Conv2d(inputs, outputs, 1))

        self.up_b, self.up_a = rise(32, 16), rise(16, 8)
        self.d, self.e = conv(32, 16), conv(16, 8)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(self.pool(a))
        c = self.c(self.pool(b))
        d = self.d(torch.cat([b, self.up_b(c)], 1))
        return self.last(self.e(torch.cat([a, self.up_a(d)], 1)))


class DeepLab(nn.Module):
    """DeepLabV3: dilated branches, a pooled one resized back, bilinear to the size of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 16, 3, dilation=2))
        self.branches = Branches(conv(16, 8, 1), conv(16, 8, 3, dilation=2), conv(16, 8, 3, dilation=4))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1), nn.ReLU())
        self.project, self.last = conv(32, 16, 1), nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.features(x)
        pooled = functional.interpolate(self.pooled(y), size=y.shape[2:], mode="bilinear", align_corners=False)
        y = self.last(self.project(torch.cat([self.branches(y), pooled], 1)))
        return functional.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """A feature pyramid: lateral convolutions, nearest resizing and sums; three maps come out."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Sequential(conv(3, 8, 3, 2), conv(8, 16, 3, 2)), conv(16, 24, 3, 2), conv(24, 32, 3, 2)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, 16, 1) for channels in (16, 24, 32))
        self.output = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(3))
        self.up = Upsample()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        a = self.a(x)
        b = self.b(a)
        c = self.c(b)
        third = self.lateral[2](c)
        second = self.lateral[1](b) + self.up(third)
        first = self.lateral[0](a) + self.up(second)
        return tuple(layer(y) for layer, y in zip(self.output, (first, second, third), strict=True))


class Ssd(nn.Module):
    """SSD heads on two maps of a MobileNet: boxes [N, A, 4] and scores [N, A, 5] after a Softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(conv(3, 8, 3, 2, act=nn.ReLU6), inverted(8, 16, 2), inverted(16, 24, 2))
        self.b = inverted(24, 32, 2)
        self.boxes = nn.ModuleList((nn.Conv2d(24, 12, 3, padding=1), nn.Conv2d(32, 12, 3, padding=1)))
        self.scores = nn.ModuleList((nn.Conv2d(24, 15, 3, padding=1), nn.Conv2d(32, 15, 3, padding=1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a = self.a(x)
        maps = (a, self.b(a))

        def gather(heads: nn.ModuleList, size: int) -> Tensor:
            found = [head(y).permute(0, 2, 3, 1).reshape(x.shape[0], -1, size) for head, y in zip(heads, maps, strict=True)]
            return torch.cat(found, 1)

        return gather(self.boxes, 4), gather(self.scores, 5).softmax(-1)


class YoloBase(nn.Module):
    """The trunk of the YOLO networks here: two maps, 16 and 32 channels, joined by a path down and a path up."""

    def __init__(self, focus: bool = False) -> None:
        super().__init__()
        self.focus = focus
        self.stem = conv(12, 8, 3, act=nn.SiLU) if focus else conv(3, 8, 3, 2, act=nn.SiLU)
        self.a = nn.Sequential(conv(8, 16, 3, 2, act=nn.SiLU), CrossStage(16, nn.SiLU), conv(16, 16, 3, 2, act=nn.SiLU))
        self.b = nn.Sequential(conv(16, 32, 3, 2, act=nn.SiLU), CrossStage(32, nn.SiLU))
        self.before, self.after = conv(32, 16, 1, act=nn.SiLU), conv(64, 32, 1, act=nn.SiLU)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.join, self.up = conv(32, 16, 3, act=nn.SiLU), Upsample()
        self.down = conv(16, 16, 3, 2, act=nn.SiLU)
        self.last = conv(48, 32, 3, act=nn.SiLU)

    def trunk(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.focus:
            x = torch.cat((x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]), 1)
        a = self.a(self.stem(x))
        b = self.before(self.b(a))
        c = self.pool(b)
        d = self.pool(c)
        b = self.after(torch.cat((b, c, d, self.pool(d)), 1))
        joined = self.join(torch.cat((self.up(self.before(b)), a), 1))
        return joined, self.last(torch.cat((self.down(joined), b), 1))


class YoloV5(YoloBase):
    """Heads of YOLOv5: three anchors, Sigmoid, boxes from grid and anchors; [N, 3 * (64 + 16), 9]."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList((nn.Conv2d(16, 27, 1), nn.Conv2d(32, 27, 1)))

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for head, y, stride in zip(self.heads, self.trunk(x), (8, 16), strict=True):
            side = 64 // stride
            z = head(y).view(x.shape[0], 3, 9, side, side).permute(0, 1, 3, 4, 2).contiguous().sigmoid()
            position, size, rest = z.split((2, 2, 5), 4)
            rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
            grid = torch.stack((columns, rows), -1).to(x.dtype).view(1, 1, side, side, 2)
            found.append(
                torch.cat(((position * 2 + grid - 0.5) * stride, (size * 2) ** 2 * stride, rest), 4).view(x.shape[0], -1, 9)
            )
        return torch.cat(found, 1)


class YoloV8(YoloBase):
    """Heads of YOLOv8: distribution focal loss, boxes from distances; [N, 4 + 5, 64 + 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.boxes = nn.ModuleList(nn.Sequential(conv(c, 16, 3, act=nn.SiLU), nn.Conv2d(16, 32, 1)) for c in (16, 32))
        self.scores = nn.ModuleList(nn.Sequential(conv(c, 16, 3, act=nn.SiLU), nn.Conv2d(16, 5, 1)) for c in (16, 32))

    def forward(self, x: Tensor) -> Tensor:
        found, anchors, strides = [], [], []
        for boxes, scores, y, stride in zip(self.boxes, self.scores, self.trunk(x), (8, 16), strict=True):
            side = 64 // stride
            found.append(torch.cat((boxes(y), scores(y)), 1).view(x.shape[0], 37, -1))
            rows, columns = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
            anchors.append(torch.stack((columns, rows)).view(2, -1))
            strides.append(torch.full((1, side * side), float(stride)))
        boxes, scores = torch.cat(found, 2).split((32, 5), 1)
        distances = boxes.view(x.shape[0], 4, 8, -1).transpose(2, 1).softmax(1)
        distances = (distances * torch.arange(8.0).view(1, 8, 1, 1)).sum(1)
        start, end = distances.chunk(2, 1)
        centre = torch.cat(anchors, 1).unsqueeze(0)
        low, high = centre - start, centre + end
        return torch.cat((torch.cat(((low + high) / 2, high - low), 1) * torch.cat(strides, 1), scores.sigmoid()), 1)


class YoloX(YoloBase):
    """YOLOX: a Focus stem, decoupled heads, outputs [N, 64 + 16, 10] that the caller decodes."""

    def __init__(self) -> None:
        super().__init__(focus=True)
        self.a = nn.Sequential(*list(self.a)[:2], conv(16, 16, 3, 2, act=nn.SiLU))
        self.boxes, self.objects, self.classes = (
            nn.ModuleList(nn.Conv2d(c, outputs, 1) for c in (16, 32)) for outputs in (4, 1, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        found = [
            torch.cat((boxes(y), objects(y).sigmoid(), classes(y).sigmoid()), 1).flatten(2)
            for boxes, objects, classes, y in zip(self.boxes, self.objects, self.classes, self.trunk(x), strict=True)
        ]
        return torch.cat(found, 2).permute(0, 2, 1)


class Siamese(nn.Module):
    """Two pictures through one trunk; the absolute difference, or the cosine, of their vectors."""

    def __init__(self, cosine: bool) -> None:
        super().__init__()
        self.cosine = cosine
        self.trunk = nn.Sequential(
            conv(3, 8, 3, 2), conv(8, 16, 3, 2), conv(16, 32, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 16)
        )
        self.last = nn.Linear(16, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = self.trunk(first), self.trunk(second)
        if self.cosine:
            return (functional.normalize(a, dim=1) * functional.normalize(b, dim=1)).sum(1)
        return torch.sigmoid(self.last((a - b).abs()))


def espcn() -> nn.Module:
    """ESPCN: super-resolution by DepthToSpace."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 12, 3, padding=1),
        nn.PixelShuffle(2),
    )


def edsr() -> nn.Module:
    """EDSR: residual blocks without normalization, then DepthToSpace."""
    block = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        Residual(block),
        nn.Conv2d(16, 64, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Conv2d(16, 3, 3, padding=1),
    )


def autoencoder() -> nn.Module:
    """A convolutional autoencoder with transposed convolutions and a Tanh."""
    return nn.Sequential(
        conv(3, 8, 3, 2),
        conv(8, 16, 3, 2),
        nn.ConvTranspose2d(16, 8, 3, 2, 1, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1),
        nn.Tanh(),
    )


def style() -> nn.Module:
    """A generator with reflection padding and nearest resizing."""
    return nn.Sequential(
        nn.ReflectionPad2d(4),
        nn.Conv2d(3, 8, 9),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        conv(8, 16, 3, 2),
        Residual(nn.Sequential(conv(16, 16), conv(16, 16, act=None))),
        Upsample(),
        nn.ReflectionPad2d(1),
        nn.Conv2d(16, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 3, 3, padding=1),
    )


def dscnn() -> nn.Module:
    """DS-CNN on a spectrogram of one channel, [N, 1, 49, 10]."""

    def pair() -> nn.Module:
        return nn.Sequential(conv(16, 16, 3, 1, 16), conv(16, 16, 1))

    return nn.Sequential(
        nn.Conv2d(1, 16, (10, 4), 2, (5, 1), bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        pair(),
        pair(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 12),
    )


def conv1d() -> nn.Module:
    """A network of one dimension, [N, 4, 128]."""
    return nn.Sequential(
        nn.Conv1d(4, 16, 7, 2, 3, bias=False),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(32, 5),
    )


def mlp() -> nn.Module:
    """An autoencoder of matrix products, [N, 64]."""
    return nn.Sequential(
        nn.Linear(64, 32),
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.Linear(32, 8),
        nn.ReLU(),
        nn.Linear(8, 32),
        nn.ReLU(),
        nn.Linear(32, 64),
    )


class Senet(nn.Module):
    """A trunk with a spatial and a channel gate, as in attention modules of convolutional networks (CBAM)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.channel, self.last = conv(3, 16, 3, 2), SqueezeExcitation(16), conv(16, 8, 3, 2)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.channel(self.stem(x))
        gate = torch.sigmoid(self.spatial(torch.cat((y.mean(1, keepdim=True), y.amax(1, keepdim=True)), 1)))
        return functional.adaptive_max_pool2d(self.last(y * gate), 1).flatten(1)
