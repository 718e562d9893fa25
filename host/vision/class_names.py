"""Class names that come with Arrayloom: those of ImageNet, Pascal VOC and COCO."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from arrayloom.host.vision.detection.coco import COCO_CLASSES

BACKGROUND = "background"

VOC_CLASSES = (
    BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor")
"""Pascal VOC's in the order of an SSD's outputs, the background first."""

_IMAGENET = Path(__file__).with_name("names") / "imagenet.txt"


def _imagenet() -> tuple[str, ...]:
    """The synsets of the 1,000 classes of ILSVRC 2012, in the order in which networks are trained on them."""
    return tuple(_IMAGENET.read_text(encoding="utf-8").splitlines())


BUILT_IN: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "imagenet": _imagenet, "voc": lambda: VOC_CLASSES, "coco": lambda: COCO_CLASSES}
"""Names that ``--labels`` accepts instead of a file."""


def fitted(labels: Sequence[str], classes: int) -> tuple[str, ...]:
    """The built-in labels for that number of classes: without the leading background if the network has no class for it."""
    return tuple(labels[1:] if len(labels) == classes + 1 and labels[0] == BACKGROUND else labels)
