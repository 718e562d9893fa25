"""The five networks, layer for layer and name for name as torchvision has them."""

from arrayloom.host.models.networks.architectures.blueprint import INPUT, Blueprint, Output, Parameters, Shape
from arrayloom.host.models.networks.architectures.densenet import densenet121
from arrayloom.host.models.networks.architectures.resnet import resnet
from arrayloom.host.models.networks.architectures.ssd import ssd_vgg
from arrayloom.host.models.networks.architectures.vgg import vgg16

__all__ = ["INPUT", "Blueprint", "Output", "Parameters", "Shape", "densenet121", "resnet", "ssd_vgg", "vgg16"]
