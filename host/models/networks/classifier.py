"""Networks that give features, and bring a classifier of their own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.networks.architectures import Output, Shape
from arrayloom.host.models.networks.errors import NetworkError
from arrayloom.host.models.networks.network import Floats, Network
from arrayloom.host.runtime.boundary import softmax


class Classifier(Network):
    """Features on the one side, ImageNet's classes on the other."""

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

        That of a quantized network is the accelerator's integer classifier, with the same result bit for bit.
        """
        wanted = self._output_shapes[0]
        if features.shape[1:] != wanted or not len(features):
            raise NetworkError(f"{type(self).__name__}: features {list(features.shape)} given, [N, "
                               f"{', '.join(map(str, wanted))}] wanted; featurize makes them")
        scores = self.engine.classify(np.asarray(features, np.float32).reshape(len(features), -1))
        return scores if logits else softmax(scores, 1)
