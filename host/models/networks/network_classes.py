"""The network classes by their names in the service re-created."""

from arrayloom.host.models.networks.classifier import Classifier
from arrayloom.host.models.networks.detector import Detector
from arrayloom.host.models.networks.network import FloatNetwork, QuantizedNetwork
from arrayloom.host.models.networks.specs import DENSENET121, RESNET50, RESNET152, SSD_VGG, SSD_VGG_37, VGG16


class Resnet50(FloatNetwork, Classifier):
    """ResNet-50 v1.5 in float; features [N, 1, 1, 2048]."""

    specs = (RESNET50,)


class QuantizedResnet50(QuantizedNetwork, Classifier):
    """ResNet-50 v1.5 on the accelerator; features [N, 1, 1, 2048]."""

    specs = (RESNET50,)


class Resnet152(FloatNetwork, Classifier):
    """ResNet-152 v1.5 in float; features [N, 1, 1, 2048]."""

    specs = (RESNET152,)


class QuantizedResnet152(QuantizedNetwork, Classifier):
    """ResNet-152 v1.5 on the accelerator; features [N, 1, 1, 2048]."""

    specs = (RESNET152,)


class Vgg16(FloatNetwork, Classifier):
    """VGG-16 in float; features [N, 1, 1, 4096], those of fc7."""

    specs = (VGG16,)


class QuantizedVgg16(QuantizedNetwork, Classifier):
    """VGG-16 on the accelerator; features [N, 1, 1, 4096], those of fc7."""

    specs = (VGG16,)


class Densenet121(FloatNetwork, Classifier):
    """DenseNet-121 in float; features [N, 1, 1, 1024]."""

    specs = (DENSENET121,)


class QuantizedDensenet121(QuantizedNetwork, Classifier):
    """DenseNet-121 on the accelerator; features [N, 1, 1, 1024]."""

    specs = (DENSENET121,)


class SsdVgg(FloatNetwork, Detector):
    """SSD300 on VGG-16 in float."""

    specs = (SSD_VGG, SSD_VGG_37)


class QuantizedSsdVgg(QuantizedNetwork, Detector):
    """SSD300 on VGG-16 on the accelerator; boxes are decoded on the CPU."""

    specs = (SSD_VGG, SSD_VGG_37)
