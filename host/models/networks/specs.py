"""The five networks by name, with their layers, inputs and outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.architectures import SSD_CLASSES as VOC_CLASSES
from arrayloom.host.models.networks.architectures import densenet121, resnet, ssd_vgg, vgg16
from arrayloom.host.models.networks.blueprint import Blueprint

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Spec:
    """A network without its weights.

    ``blueprint``: its layers for a number of classes; ``recipe``: torchvision's preprocessing, with which its
    weights were trained; ``zoo``: the network's name in the public ONNX model zoo, or None.
    """

    name: str
    title: str
    blueprint: Callable[[int], Blueprint]
    classes: int
    recipe: str
    zoo: str | None


RESNET50 = Spec("resnet50", "ResNet-50 v1.5", partial(resnet, 50), IMAGENET_CLASSES, "imagenet", "resnet50")
RESNET152 = Spec("resnet152", "ResNet-152 v1.5", partial(resnet, 152), IMAGENET_CLASSES, "imagenet", "resnet152")
VGG16 = Spec("vgg16", "VGG-16", vgg16, IMAGENET_CLASSES, "imagenet", "vgg16")
DENSENET121 = Spec("densenet121", "DenseNet-121", densenet121, IMAGENET_CLASSES, "imagenet", "densenet121")
SSD_VGG = Spec("ssd_vgg", "SSD300 on VGG-16, first map 38x38", ssd_vgg, VOC_CLASSES, "ssd300", None)
SSD_VGG_37 = Spec("ssd_vgg_37", "SSD300 on VGG-16, first map 37x37", partial(ssd_vgg, grid=37), VOC_CLASSES, "ssd300", None)

SPECS = {spec.name: spec for spec in (RESNET50, RESNET152, VGG16, DENSENET121, SSD_VGG, SSD_VGG_37)}
"""All by name."""


def find_spec(name: str) -> Spec:
    """The network of that name; raises ``NetworkError``, which lists the known names."""
    if name not in SPECS:
        raise NetworkError(f"network {name!r}: unknown; known are {', '.join(SPECS)}")
    return SPECS[name]
