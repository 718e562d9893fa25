"""Top classes of the float and of the quantized network, image by image."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.models.quantize.calibration import Calibration
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.quantizer import Progress, Quantized


@dataclass(frozen=True)
class Agreement:
    """How often the networks agree with each other and with the truth.

    Attributes:
        images: how many were compared.
        same_class: how many have the same top class.
        correct_before, correct_after: how many top classes of the float and of the quantized network are right; None
            without labels.
    """

    images: int
    same_class: int
    correct_before: int | None = None
    correct_after: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The attributes that are known, and accuracies from 0 to 1."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        if self.correct_before is not None and self.correct_after is not None:
            values |= {"accuracy_before": self.correct_before / self.images,
                       "accuracy_after": self.correct_after / self.images}
        return values


def is_classifier(quantized: Quantized) -> bool:
    """Whether the network has one output, a score for each class."""
    model = quantized.prepared.model
    shapes = [model.shapes[name] for name in model.outputs]
    return len(shapes) == 1 and shapes[0][1:] != () and int(np.prod(shapes[0][1:])) == shapes[0][1] > 1


def compare_classes(quantized: Quantized, calibration: Calibration, labels: Sequence[int] | None,
                    progress: Progress | None = None) -> Agreement:
    """The agreement over all images; `labels` in their order.

    Raises:
        QuantizeError: a label is no class of the network.
    """
    before, after = Session(quantized.prepared.original), Session(quantized.model)
    output = quantized.prepared.model.outputs[0]
    tops = []
    for index, feed in enumerate(calibration.feeds(quantized.prepared.ports)):
        scores = [session.run(feed)[output].reshape(-1) for session in (before, after)]
        tops.append([int(score.argmax()) for score in scores])
        if progress is not None:
            progress("comparing classes", index + 1, len(calibration))
        if labels is not None and labels[index] >= scores[0].size:
            raise QuantizeError(f"{calibration.names[index]}: label {labels[index]} is no class: the network has "
                                f"{scores[0].size}, from 0; check the labels' numbering")
    found = np.array(tops)
    same = int((found[:, 0] == found[:, 1]).sum())
    if labels is None:
        return Agreement(len(found), same)
    right = (found == np.array(labels)[:, np.newaxis]).sum(axis=0)
    return Agreement(len(found), same, int(right[0]), int(right[1]))
