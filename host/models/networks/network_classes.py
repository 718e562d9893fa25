"""The network classes, with their names in the re-created service; they are classifiers or detectors."""

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.architectures import SSD_BOXES
from arrayloom.host.models.networks.blueprint import Output, Shape
from arrayloom.host.models.networks.network_base import FloatNetwork, Floats, Network, QuantizedNetwork
from arrayloom.host.models.networks.specs import DENSENET121, RESNET50, RESNET152, SSD_VGG, SSD_VGG_37, VGG16
from arrayloom.host.models.networks.ssd import BEST, anchors, by_position, postprocess, select_bboxes
from arrayloom.host.vision.detection.boxes import Detections
from arrayloom.isa.host_steps import softmax


class Classifier(Network):
    """A network that computes features, and has a classifier for ImageNet's classes."""

    @property
    def output_tensor_list(self) -> list[str]:
        return [self._features.name]

    @property
    def _output_shapes(self) -> list[Shape]:
        return [(1, 1, self._features.shape[0])]

    @property
    def _features(self) -> Output:
        assert self.blueprint.features is not None
        return self.blueprint.features

    def featurize(self, images: NDArray[Any]) -> Floats:
        """float32 [N, H, W, 3] to the features before the classifier, [N, 1, 1, C]."""
        features = self.engine.features(self._channels_first(images))
        return features.reshape(len(images), *self._output_shapes[0])

    def classify(self, images: NDArray[Any]) -> Floats:
        """float32 [N, H, W, 3] to probabilities [N, classes]; the classifier runs where the features are computed."""
        return softmax(next(iter(self.engine.run(self._channels_first(images)).values())), 1)

    def get_default_classifier(self, features: NDArray[Any], logits: bool = False) -> Floats:
        """Features [N, 1, 1, C] to probabilities [N, classes], or to logits, on the CPU.

        For a quantized network this is the integer classifier, bit for bit equal to the accelerator's.
        """
        wanted = self._output_shapes[0]
        if features.shape[1:] != wanted or not len(features):
            raise NetworkError(f"{type(self).__name__}: features {list(features.shape)} given, [N, "
                               f"{', '.join(map(str, wanted))}] wanted; featurize makes them")
        scores = self.engine.classify(np.asarray(features, np.float32).reshape(len(features), -1))
        return scores if logits else softmax(scores, 1)


class Detector(Network):
    """SSD300 on VGG-16, its boxes decoded on the CPU; the first map has 38x38 or 37x37 positions, depending on how it was
    built."""

    @property
    def output_tensor_list(self) -> list[str]:
        """Six maps of class logits, then six of boxes."""
        return [output.name for output in self.blueprint.outputs]

    @property
    def _output_shapes(self) -> list[Shape]:
        shapes = (output.shape for output in self.blueprint.outputs)
        return [(height, width, boxes, depth // boxes)
                for (depth, height, width), boxes in zip(shapes, (*SSD_BOXES, *SSD_BOXES), strict=True)]

    @property
    def anchors(self) -> list[Floats]:
        """Anchors of each map [H, W, boxes, 4]: centre y, centre x, height, width."""
        return anchors([height for height, *_ in self._output_shapes[:len(SSD_BOXES)]])

    def featurize(self, images: NDArray[Any]) -> list[Floats]:
        """float32 [N, 300, 300, 3] to class logits [N, H, W, boxes, classes] of six maps, then boxes [N, H, W, boxes, 4]."""
        return by_position(self.engine.run(self._channels_first(images)))

    def detect(self, images: NDArray[Any], select_threshold: float = 0.5, nms_threshold: float = 0.45,
               top: int = BEST) -> list[Detections]:
        """float32 [N, 300, 300, 3] to the detections of each image."""
        return self.postprocess(self.featurize(images), select_threshold, nms_threshold, top)

    postprocess = staticmethod(postprocess)
    select_bboxes = staticmethod(select_bboxes)

    def get_default_classifier(self, *_: NDArray[Any]) -> NoReturn:
        """Always raises ``NetworkError``, since there is no classifier."""
        raise NetworkError(f"{type(self).__name__} has no classifier: its outputs hold the classes of every box; "
                           "use postprocess or detect")


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
