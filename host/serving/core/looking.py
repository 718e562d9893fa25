"""What a network recognizes in a picture: the most likely classes, or boxes with their classes."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from arrayloom.host.models.detecting import Detection, choose_detector
from arrayloom.host.models.scoring import rank_outputs
from arrayloom.host.runtime.errors import InputError
from arrayloom.host.serving.bundle import Bundle
from arrayloom.host.vision import input_size, recipe
from arrayloom.host.vision.decode import image_size
from arrayloom.host.vision.detection.detectors import DEFAULT_THRESHOLD


def look(bundle: Bundle, picture: bytes, outputs: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Entries with ``index``, ``label``, ``confidence`` and, for a detector, ``box``; the most confident first.

    Raises ``InputError`` and ``DetectionError`` for a network whose outputs are neither classes nor boxes.
    """
    program = bundle.program
    shape = (1, *program.model_inputs[0].shape)
    size = input_size(shape)
    detector = choose_detector({port.name: (1, *port.shape) for port in program.model_outputs}, None, size)
    if detector is None and len(outputs) != 1:
        raise InputError(f"model {bundle.name} has {len(outputs)} outputs ({', '.join(outputs)}), neither classes nor "
                         "boxes; ask for its tensors")
    detection = None
    if detector is not None and size is not None and bundle.recipe is not None:
        place = recipe(bundle.recipe).fitted(*size).geometry(*image_size(picture))
        detection = Detection(detector, size, geometries=[place])
    labels = None if bundle.labels is None else list(bundle.labels)
    return [vars(entry) for entry in rank_outputs(outputs, program.model_outputs, None, labels, DEFAULT_THRESHOLD,
                                                  detection)[0]]
