"""The five networks, layer for layer and name for name as torchvision has them."""

from host.networks.architectures.blueprint import INPUT, Blueprint, Output, Parameters, Shape
from host.networks.architectures.densenet import densenet121
from host.networks.architectures.resnet import resnet
from host.networks.architectures.ssd import ssd_vgg
from host.networks.architectures.vgg import vgg16

__all__ = ["INPUT", "Blueprint", "Output", "Parameters", "Shape", "densenet121", "resnet", "ssd_vgg", "vgg16"]
