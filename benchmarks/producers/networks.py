"""The small networks by name, with seeded weights, and pictures for them."""

import zlib
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.producers import dense
from benchmarks.producers.classifiers import CLASSIFIERS

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **CLASSIFIERS,
    "unet_transposed": lambda: dense.UNet("transposed"),
    "unet_bilinear": lambda: dense.UNet("bilinear"),
    "unet_nearest": lambda: dense.UNet("nearest"),
    "deeplab": dense.DeepLab,
    "pyramid": dense.Pyramid,
    "ssd": dense.Ssd,
    "yolov5": dense.YoloV5,
    "yolov8": dense.YoloV8,
    "yolox": dense.YoloX,
    "siamese": lambda: dense.Siamese(False),
    "siamese_cosine": lambda: dense.Siamese(True),
    "espcn": dense.espcn,
    "edsr": dense.edsr,
    "autoencoder": dense.autoencoder,
    "style": dense.style,
    "dscnn": dense.dscnn,
    "conv1d": dense.conv1d,
    "mlp": dense.mlp,
    "cbam": dense.Senet,
}

#: Input shape, without the batch, of the networks whose input is not a 64x64 picture.
SHAPES: dict[str, tuple[int, ...]] = {"dscnn": (1, 49, 10), "conv1d": (4, 128), "mlp": (64,)}


class Network(nn.Module):
    """A list of layers as one module, as most networks are."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def inputs(name: str, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Smooth seeded inputs of a network, [batch, ...] each, with a mean near 0 and a deviation near 1."""
    generator = torch.Generator().manual_seed(seed)
    shape = SHAPES.get(name, (3, 64, 64))
    count = 2 if name.startswith("siamese") else 1
    made = []
    for _ in range(count):
        noise = torch.randn(batch, *shape, generator=generator)
        if len(shape) == 3:
            coarse = torch.randn(batch, shape[0], 8, 8, generator=generator)
            noise = 0.3 * noise + nn.functional.interpolate(coarse, size=shape[1:], mode="bilinear", align_corners=False)
        made.append(noise)
    return tuple(made)


def one_by_one(name: str) -> list[tuple[Tensor, ...]]:
    """Sixteen inputs for the calibration, batch 1."""
    return [tuple(value[None] for value in values) for values in zip(*inputs(name, 16, seed=1), strict=True)]


def build(name: str) -> nn.Module:
    """The network with seeded weights, and normalizations with the statistics of its own activations."""
    torch.manual_seed(zlib.crc32(name.encode()))
    network = NETWORKS[name]()
    if isinstance(network, nn.Sequential):
        network = Network(network)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv1d | nn.Linear | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = None
    network.train()
    with torch.no_grad():
        network(*inputs(name, 16))
    return network.eval()
